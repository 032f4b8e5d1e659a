#ifndef EPORE_RUNTIME_INTERNAL_TESTING_PASSING_KERNEL_H_
#define EPORE_RUNTIME_INTERNAL_TESTING_PASSING_KERNEL_H_

#include "absl/functional/function_ref.h"
#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

// A PassingKernel passes every call on to another one. A class that changes some calls derives from
// it and overrides them; one that looks at all calls overrides pass(). The other kernel must
// outlive it.
class PassingKernel : public Kernel {
 public:
  explicit PassingKernel(Kernel& inner) : inner_(inner) {}

  SysResult socket(int domain, int type, int protocol) override;
  SysResult bind(int fd, const sockaddr* address, unsigned size) override;
  SysResult listen(int fd, int backlog) override;
  SysResult accept(int fd, sockaddr* peer, unsigned* size, int flags) override;
  SysResult connect(int fd, const sockaddr* address, unsigned size) override;
  SysResult shutdown(int fd, int how) override;
  SysResult recv(int fd, void* buffer, std::size_t size, int flags) override;
  SysResult send(int fd, const void* bytes, std::size_t size, int flags) override;
  SysResult sendmsg(int fd, const msghdr* message, int flags) override;
  SysResult recvmsg(int fd, msghdr* message, int flags) override;
  SysResult recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override;
  SysResult sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override;
  SysResult getsockopt(int fd, int level, int name, void* value, unsigned* size) override;
  SysResult setsockopt(int fd, int level, int name, const void* value, unsigned size) override;
  SysResult getsockname(int fd, sockaddr* address, unsigned* size) override;
  SysResult getpeername(int fd, sockaddr* address, unsigned* size) override;
  SysResult socketpair(int domain, int type, int protocol, int fds[2]) override;
  SysResult close(int fd) override;
  SysResult fcntl(int fd, int command, int argument) override;
  SysResult fstat(int fd, struct stat* status) override;
  SysResult fchmod(int fd, unsigned mode) override;
  SysResult flock(int fd, int operation) override;
  SysResult read(int fd, void* buffer, std::size_t size) override;
  SysResult write(int fd, const void* bytes, std::size_t size) override;
  SysResult pread(int fd, void* buffer, std::size_t size, std::int64_t offset) override;
  SysResult pipe(int ends[2], int flags) override;
  SysResult sendfile(int to, int from, std::int64_t offset, std::size_t size) override;
  SysResult splice(int from, int to, std::size_t size, unsigned flags) override;
  SysResult open(const char* path, int flags, unsigned mode) override;
  SysResult lstat(const char* path, struct stat* status) override;
  SysResult unlink(const char* path) override;
  SysResult eventfd(unsigned value, int flags) override;
  SysResult epoll_create(int flags) override;
  SysResult epoll_ctl(int epfd, int operation, int fd, epoll_event* event) override;
  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override;
  SysResult pselect(int size, fd_set* readable, fd_set* writable, fd_set* priority,
                    const timespec* timeout) override;
  SysResult io_uring_setup(unsigned entries, io_uring_params* params) override;
  SysResult io_uring_enter(int ring, unsigned submit, unsigned min_complete, unsigned flags,
                           const void* argument, std::size_t size) override;
  SysResult io_uring_register(int ring, unsigned operation, void* argument,
                              unsigned count) override;
  SysResult mmap(std::size_t size, int protection, int flags, int fd, std::int64_t offset) override;
  SysResult munmap(void* address, std::size_t size) override;
  std::int64_t now() override;
  SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::int64_t timeout_ns) override;
  SysResult unpark(const std::atomic<std::uint32_t>& word, int count) override;
  int processors() override;
  int thread_id() override;
  SysResult set_batch_scheduling() override;
  SysResult run_delay(int thread, std::int64_t* nanoseconds) override;
  SysResult thread_state(int thread, ThreadState* state) override;
  SysResult thread_cpu(int thread, std::int64_t* nanoseconds) override;
  SysResult thread_usage(ThreadUsage* usage) override;
  SysResult start_thread(const char* name, std::function<void()> body, std::uint64_t* id) override;
  SysResult join_thread(std::uint64_t id) override;
  SysResult detach_thread(std::uint64_t id) override;
  int resolve(const char* host, const char* service, const addrinfo* hints,
              addrinfo** list) override;
  void free_addresses(addrinfo* list) override;
  SysResult sigaction(int signal, const struct sigaction* action, struct sigaction* old) override;
  SysResult spawn(ProcessStart& start, int* pidfd) override;
  SysResult waitid(int child, siginfo_t* info, int options) override;
  SysResult pidfd_send_signal(int child, int signal) override;
  SysResult kill(int process_or_group, int signal) override;
  KernelCallCounts counts() const override;

 protected:
  Kernel& inner() const { return inner_; }

  // `make` makes the call. `fd` is what it is about: the queue for calls of an event queue, -1
  // where there is none. All calls that give a SysResult come by here.
  virtual SysResult pass(KernelCall kind, int fd, absl::FunctionRef<SysResult()> make);

 private:
  Kernel& inner_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TESTING_PASSING_KERNEL_H_
