#ifndef EPORE_RUNTIME_INTERNAL_RUNNABLE_H_
#define EPORE_RUNTIME_INTERNAL_RUNNABLE_H_

#include "runtime/internal/dispatch_word.h"
#include "runtime/internal/ref.h"

namespace epore::internal {

class Reactor;

// Something that runs when it is woken: a connection, an acceptor, a timer's callback, a closure.
// Its run() is called by one thread at a time, see DispatchWord.
class Runnable : public RefCounted {
 public:
  enum class Place : bool { anywhere, poll_thread };

  Runnable(Reactor& home, Place place) : home_(home), place_(place) {}

  // Does what there is to do. Called with no lock held, never inside another run().
  virtual void run() = 0;

  Reactor& home() const { return home_; }

  // Those that run no user code may be pinned to the poll thread of their reactor.
  bool is_pinned() const { return place_ == Place::poll_thread; }

  DispatchWord& word() { return word_; }

 private:
  friend class RunQueue;
  friend class Inbox;

  Reactor& home_;
  Runnable* next_ = nullptr;  // of the queue that it is in
  DispatchWord word_;
  const Place place_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RUNNABLE_H_
