#ifndef EPORE_TESTS_RUNTIME_RUNTIME_TEST_BASE_H_
#define EPORE_TESTS_RUNTIME_RUNTIME_TEST_BASE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/kernel/real_kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"

namespace epore {

// Where behaviour must be the same: who runs callbacks, and the engine below.
struct Mode {
  Dispatch dispatch;
  std::string selector;
};

// The modes whose engine the system does not refuse: a RuntimeTest requires its engine. The output
// says which engine is left out, and why. The lists below have no refused ones either.
std::vector<Mode> not_refused(std::vector<Mode> modes);

std::vector<Mode> all_modes();
std::vector<Mode> every_mode();   // those, and Dispatch::caller, for tests with a DrivenRuntime
std::vector<Mode> epoll_modes();  // for exact counts of system calls
KernelCall wait_call(const Mode& mode);  // the kind of call that waits for events
// Whether TCP connections read by recv(2). Otherwise a ring receives for them, see io-uring.md.
bool reads_by_recv(const Mode& mode);
std::string mode_name(const testing::TestParamInfo<Mode>& info);

// Runs a test in a Mode with a kernel that can be made to fail, and checks that it leaves no
// descriptor open. What a callback uses is declared before the Runtime, so that it outlives it.
class RuntimeTest : public testing::TestWithParam<Mode> {
 protected:
  RuntimeOptions options();  // they require the engine

  // Gives the sockets that are accepted the smallest buffers that the system allows.
  void use_small_buffers();

  // How many system calls have sent bytes.
  std::uint64_t writes() const;

  const ExpectNoFdLeak no_leak_;
  RealKernel system_;  // counts the runtime's calls and no others
  FaultKernel kernel_{system_};
};

// A thread that runs the loop of a runtime with Dispatch::caller.
class LoopThread {
 protected:
  LoopThread() = default;
  ~LoopThread();
  void start(Runtime& runtime);

 private:
  std::thread thread_;
};

// A Runtime that needs no caller: with Dispatch::caller a thread of the test runs its loop until
// the end. LoopThread is the first base, so that it is joined when ~Runtime() has shut down.
class DrivenRuntime : private LoopThread, public Runtime {
 public:
  explicit DrivenRuntime(RuntimeOptions options);
};

// Bytes that differ from place to place, so that a shift or a swap shows.
std::string pattern(std::size_t size, unsigned seed = 0);

// Options with these marks of the write queue.
ListenOptions marks(std::size_t low, std::size_t high, std::size_t cap = 64 << 20);

// Expects `count` lines "THREAD NUMBER REST" of each of `threads` threads, the numbers of each
// thread in sequence, and the rest that belongs to the number.
void expect_lines_of_threads(std::string_view text, int threads, int count,
                             absl::FunctionRef<std::string(int number)> rest);

std::string_view as_text(std::span<const std::byte> bytes);

// The other end of a connection: a blocking socket of the test's own, past every Kernel. A call
// that would wait for more than a minute fails the test by a CHECK. The server may reset it as soon
// as it accepts, also before connect(2) returns: then the first receive tells, as it does later.
class Peer {
 public:
  explicit Peer(const SocketAddress& server);  // connects
  explicit Peer(OwnedFd fd);
  Peer(Peer&&) = default;
  Peer& operator=(Peer&&) = default;

  void send(std::string_view bytes);       // returns when the system has taken all
  std::string receive(std::size_t count);  // fewer only before the end
  std::string receive_all();               // to the end, whatever kind that is
  int end();                               // drops bytes up to the end: 0, or the errno of recv(2)
  void half_close();
  void reset();
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  OwnedFd fd_;
  bool is_reset_ = false;  // connect(2) has taken the error
};

// What one connection told, and waits for it. Checks the promises that hold for all: callbacks one
// at a time, `closed` once, nothing after it.
class Observer {
 public:
  // What to do besides taking note; set before watch(). The peer's end of file closes, as it does
  // without a callback.
  std::function<void(Connection&, std::string_view)> when_data;
  std::function<void(Connection&)> when_read_closed = [](Connection& c) { c.close(); };
  std::function<void(Connection&)> when_writable;
  std::function<void(Connection&, const absl::Status&)> when_closed;

  Observer() = default;
  Observer(const Observer&) = delete;
  ~Observer();

  // Sets the callbacks; to be called in the connection's first.
  void watch(Connection& connection);

  std::string await_bytes(std::size_t count);  // at least
  void await_read_closed();
  void await_writable(int times = 1);
  absl::Status await_closed();

  std::string bytes() const;
  int read_closed() const;
  int writable() const;
  int closed() const;

 private:
  class Call;

  mutable absl::Mutex mutex_;
  bool is_in_callback_ ABSL_GUARDED_BY(mutex_) = false;
  std::string bytes_ ABSL_GUARDED_BY(mutex_);
  int read_closed_ ABSL_GUARDED_BY(mutex_) = 0;
  int writable_ ABSL_GUARDED_BY(mutex_) = 0;
  int closed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

// A connection that the runtime accepted from a peer of the test's.
struct Link {
  Listener listener;
  Connection connection;
  Peer peer;
};

// `first` is called after `observer` watches the connection.
Link open_link(Runtime& runtime, Observer& observer, const ListenOptions& options = {},
               std::function<void(Connection&)> first = nullptr);
Link open_link(Runtime& runtime, Observer& observer, const ConnectionOptions& options,
               std::function<void(Connection&)> first = nullptr);

// Listens on a free port of 127.0.0.1; CHECKs that it can.
Listener listen_on_loopback(Runtime& runtime, Runtime::AcceptCallback on_accept,
                            const ListenOptions& options = {});

// Returns when all that was asked of the connection before has been done.
void fence(Connection connection);

// Returns when the poll thread has seen all that was ready before, and its callbacks have begun.
void fence(Runtime& runtime);

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_RUNTIME_TEST_BASE_H_
