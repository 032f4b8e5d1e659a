#ifndef EPORE_RUNTIME_INTERNAL_SIGNALS_SERVICE_MANAGER_H_
#define EPORE_RUNTIME_INTERNAL_SIGNALS_SERVICE_MANAGER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

namespace epore::internal {

// A ServiceManager is what has started this process, if it asks to be told what the service does:
// see sd_notify(3). It names a Unix datagram socket in NOTIFY_SOCKET.
//
// Threads: any thread may call tell().
class ServiceManager {
 public:
  // What a process is told of it: the values of the variables, or null.
  struct Environment {
    const char* socket;         // NOTIFY_SOCKET
    const char* watchdog_usec;  // WATCHDOG_USEC
    const char* watchdog_pid;   // WATCHDOG_PID
  };
  static Environment environment();

  // Connects to its socket. Where no service manager asks, the result is not asked. Errors:
  // InvalidArgument for values that make no sense; those of socket(2) and connect(2).
  static absl::StatusOr<ServiceManager> connect(Kernel& kernel, const Environment& environment,
                                                int self);

  bool is_asked() const { return fd_.is_valid(); }

  // How often it wants to hear of a service that lives, in ns; 0: never.
  std::int64_t watchdog() const { return watchdog_; }

  // Sends lines such as "READY=1". Waits for at most `limit` ns while its queue is full. Does
  // nothing if it did not ask. Errors: DeadlineExceeded; those of send(2).
  absl::Status tell(std::string_view lines, std::int64_t limit) const;

 private:
  explicit ServiceManager(Kernel& kernel) : kernel_(&kernel) {}

  Kernel* kernel_;
  OwnedFd fd_;
  std::int64_t watchdog_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_SIGNALS_SERVICE_MANAGER_H_
