#ifndef EPORE_POLL_ENGINE_POLL_SELECTOR_H_
#define EPORE_POLL_ENGINE_POLL_SELECTOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/file_identity.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

struct pollfd;

namespace epore::internal {

// The poll(2) engine: slow and portable, the reference for the other engines. It keeps the table of
// registrations that epoll(7) keeps in the kernel. Each wait() copies the table and calls poll(2)
// without the lock. A change of the table writes to an eventfd of the engine, which ends the call;
// the next wait() then uses the new table.
//
// poll(2) reports levels, and no engine can turn them into edges. Between two calls a descriptor
// may have been drained and filled again, which poll(2) does not show. So Trigger::edge is level
// here.
class PollSelector final : public Selector {
 public:
  static constexpr std::string_view kName = "poll";

  // Errors: those of eventfd(2).
  static absl::StatusOr<std::unique_ptr<Selector>> create(Kernel& kernel);
  ~PollSelector() override;

  SysResult add(int fd, Token token, Interest interest) override;
  SysResult modify(int fd, Token token, Interest interest) override;
  SysResult remove(int fd) override;
  SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) override;
  SysResult wait(Events& events, std::int64_t timeout_ns) override;
  Traits traits() const override { return {kName, false}; }

 private:
  struct Entry {
    Entry(Token token, Interest interest) : token(token), interest(interest) {}

    Token token;
    Interest interest;
    FileIdentity file;
    bool is_armed = true;  // false after the event of a one-shot

    // The number of the last add or modify. If it has changed during a poll(2), wait() drops the
    // result for this entry: it belongs to an earlier registration.
    std::uint64_t serial = 0;

    // The eventfd, if this is a Waker's. wait() empties it, so that the next write is a change.
    std::shared_ptr<const OwnedFd> waker;
  };

  PollSelector(Kernel& kernel, OwnedFd interrupt);
  SysResult insert(int fd, Entry entry);
  void interrupt();
  void drain(int fd);
  void snapshot() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<std::shared_ptr<const OwnedFd>> collect(Events& events) ABSL_LOCKS_EXCLUDED(mutex_);

  // Constant after construction.
  Kernel& kernel_;
  const OwnedFd interrupt_;  // the eventfd that a change of the table writes to

  // The thread in wait() only.
  std::vector<pollfd> fds_;             // the argument of poll(2)
  std::vector<std::uint64_t> serials_;  // the serials of those entries
  int next_fd_ = 0;                     // where the next batch begins, so that all get their turn

  absl::Mutex mutex_;
  std::map<int, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // ordered, so runs are repeatable
  std::uint64_t serial_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_POLL_SELECTOR_H_
