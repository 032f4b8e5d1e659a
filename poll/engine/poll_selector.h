#ifndef EPORE_POLL_ENGINE_POLL_SELECTOR_H_
#define EPORE_POLL_ENGINE_POLL_SELECTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

struct pollfd;

namespace epore::internal {

// poll(2): the slow, portable reference. Keeps the table that epoll keeps in the kernel, and an
// eventfd of its own that ends a poll(2) which does not know of a change yet.
//
// poll(2) knows no edges, and they cannot be made up: between two calls a descriptor may have been
// drained and filled again. So an edge is told as level here, see Interest.
class PollSelector final : public Selector {
 public:
  static absl::StatusOr<std::unique_ptr<Selector>> create(Kernel& kernel);
  ~PollSelector() override;

  SysResult add(int fd, Token token, Interest interest) override;
  SysResult modify(int fd, Token token, Interest interest) override;
  SysResult remove(int fd) override;
  SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) override;
  SysResult wait(Events& events, std::int64_t timeout_ns) override;
  Traits traits() const override { return {"poll", false}; }

 private:
  // Tells apart two files that had the same number.
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };

  struct Entry {
    Entry(Token token, Interest interest) : token(token), interest(interest) {}

    Token token;
    Interest interest;
    Identity identity;
    bool is_armed = true;      // false: a one-shot that has fired
    std::uint64_t serial = 0;  // of the last add or modify; what wait() saw is dropped if older
    std::shared_ptr<const OwnedFd> waker;  // read by wait(), so that its level becomes an edge
  };

  PollSelector(Kernel& kernel, OwnedFd interrupt);
  SysResult insert(int fd, Entry entry);
  SysResult identify(int fd, Identity& identity);
  void interrupt();
  void drain(int fd);
  void snapshot() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<std::shared_ptr<const OwnedFd>> collect(Events& events) ABSL_LOCKS_EXCLUDED(mutex_);

  // Constant after construction.
  Kernel& kernel_;
  const OwnedFd interrupt_;

  // The waiting thread only: what poll(2) was asked, the serials of that, and the number at which
  // the next batch begins, so that a small one does not always serve the same.
  std::vector<pollfd> fds_;
  std::vector<std::uint64_t> serials_;
  int next_fd_ = 0;

  absl::Mutex mutex_;
  absl::btree_map<int, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // ordered: a run can be repeated
  std::uint64_t serial_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_POLL_SELECTOR_H_
