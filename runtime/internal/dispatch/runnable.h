#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_

#include <cstdint>
#include <string>

#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/dispatch_word.h"
#include "epore/runtime/internal/dispatch/slowness.h"

namespace epore::internal {

class Reactor;

// Something that runs when it is woken: a connection, an acceptor, a timer's callback, a closure.
// Its run() is called by one thread at a time, see DispatchWord.
class Runnable : public RefCounted {
 public:
  enum class Kind : std::uint8_t {
    lasting,  // a connection: how long it takes is known from the runs before
    passing,  // a timer's callback: known only from its like
    closure,  // the same, and nobody wakes it or finds it without a reference
    pinned,   // runs no user code, and only on its reactor's leading thread
  };

  Runnable(Reactor& home, Kind kind) : kind_(kind), home_(home) {}

  // Does what there is to do. Called with no lock held, never inside another run().
  virtual void run() = 0;

  // For messages: "connection 17 (127.0.0.1:40312)". Any thread that has a reference.
  virtual std::string describe() const = 0;

  Reactor& home() const { return home_; }
  Kind kind() const { return kind_; }
  bool is_pinned() const { return kind_ == Kind::pinned; }
  bool is_passing() const { return kind_ == Kind::passing || kind_ == Kind::closure; }
  Slowness& slowness() { return slowness_; }
  DispatchWord& word() { return word_; }

  // As of all that is counted; but a closure nobody finds without a reference, so that the last one
  // is dropped without a locked instruction.
  void drop_ref() const {
    if (kind_ == Kind::closure && is_only_reference()) {
      delete this;
    } else {
      RefCounted::drop_ref();
    }
  }

  // Around run(), by whoever took it from a queue. A closure needs no word for that.
  void begin() {
    if (kind_ != Kind::closure) word_.begin();
  }
  // False: it was woken meanwhile, and the caller must queue it again.
  [[nodiscard]] bool end() { return kind_ == Kind::closure || word_.end(); }

 private:
  friend class RunQueue;
  template <typename>
  friend class Handoff;

  // Small things first: they lie next to the count of references.
  DispatchWord word_;
  const Kind kind_;
  Slowness slowness_;
  Reactor& home_;
  Runnable* next_ = nullptr;  // of the queue that it is in
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_RUNNABLE_H_
