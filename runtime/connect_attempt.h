#ifndef EPORE_RUNTIME_CONNECT_ATTEMPT_H_
#define EPORE_RUNTIME_CONNECT_ATTEMPT_H_

#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class Connector;
}

// A ConnectAttempt names one call of Runtime::connect(), so that it can be cancelled. A program
// that never cancels need not keep it.
//
//   epore::ConnectAttempt attempt = runtime.connect("example.com:80", on_connected);
//   attempt.cancel();  // nobody needs the answer any more
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: copies name the same attempt and may outlive the runtime. Dropping them
// cancels nothing.
class ConnectAttempt {
 public:
  ConnectAttempt();  // names no attempt
  ConnectAttempt(const ConnectAttempt&);
  ConnectAttempt(ConnectAttempt&&) noexcept;
  ConnectAttempt& operator=(const ConnectAttempt&);
  ConnectAttempt& operator=(ConnectAttempt&&) noexcept;
  ~ConnectAttempt();

  // Ends the attempt. True: the callback gets Cancelled, soon, and never inside this call. False:
  // the callback has begun, the attempt was cancelled already, or this names no attempt.
  bool cancel();

 private:
  friend class Runtime;
  friend class internal::Connector;
  explicit ConnectAttempt(internal::Ref<internal::Connector> connector);

  internal::Ref<internal::Connector> connector_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CONNECT_ATTEMPT_H_
