#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_

#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "epore/runtime/internal/base/buffer_owner.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/dispatch_word.h"
#include "epore/runtime/internal/dispatch/slowness.h"

namespace epore::internal {

class Reactor;

// A Runnable is something that runs when it is woken: a connection, an acceptor, the callback of a
// timer, a closure. Its DispatchWord makes sure that one thread at a time is in run().
class Runnable : public BufferOwner {
 public:
  enum class Kind : std::uint8_t {
    lasting,  // a connection: its earlier runs tell how long it takes
    passing,  // a timer's callback: all of them share one Slowness
    closure,  // as `passing`; it runs once, nobody wakes it, and only its queue refers to it
    pinned,   // runs no user code, and only on the thread that leads its reactor
    member,   // of an order: only the order runs it
    order,    // runs its members, on the thread of any reactor
  };

  Runnable(Reactor& home, Kind kind) : kind_(kind), home_(home) {}

  // Does the work. Called with no lock held, and never inside another run().
  virtual void run() = 0;

  // A text for messages, such as "connection 17 (127.0.0.1:40312)". Any thread with a reference.
  virtual std::string describe() const = 0;

  // Hands a member to its order, instead of to a thread. A wake() has claimed its word.
  virtual void queue_in_order(Ref<Runnable> self);

  Reactor& home() const { return home_; }
  Kind kind() const { return kind_; }
  bool is_pinned() const { return kind_ == Kind::pinned; }
  bool is_member() const { return kind_ == Kind::member; }
  bool is_passing() const { return kind_ == Kind::passing || kind_ == Kind::closure; }
  Slowness& slowness() { return slowness_; }
  DispatchWord& word() { return word_; }

  // Drops a reference. A closure has one owner, so its last reference needs no locked instruction.
  void drop_ref() const {
    if (kind_ == Kind::closure && is_only_reference()) {
      delete this;
    } else {
      RefCounted::drop_ref();
    }
  }

  // Called before run() by the thread that took the queue entry. A closure does without the word.
  void begin() {
    if (kind_ != Kind::closure) word_.begin();
  }
  // Called after run(). False: a wake() came meanwhile, and the caller must queue it again.
  [[nodiscard]] bool end() {
    if (kind_ == Kind::closure) [[unlikely]]
      return true;
    return word_.end();
  }

 private:
  friend class RunQueue;
  template <typename>
  friend class Handoff;
  template <typename>
  friend class HandoffRing;

  // The small members are first, in the same word as the count of references.
  DispatchWord word_;
  const Kind kind_;
  Slowness slowness_;
  Reactor& home_;
  Runnable* next_ = nullptr;  // in the queue that holds it
};

// Every kind of member overrides it.
inline void Runnable::queue_in_order(Ref<Runnable>) { CHECK(false) << describe(); }

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_
