#ifndef EPORE_RUNTIME_TESTING_FAULTY_NETWORK_H_
#define EPORE_RUNTIME_TESTING_FAULTY_NETWORK_H_

#include <cstddef>
#include <memory>

namespace epore {

class Kernel;

namespace internal {
class FaultyKernel;
}

// A FaultyNetwork is the network of a runtime in a test, as bad as a network may be: bytes come one
// by one, and a connection is refused. A protocol's parser must work with each of them.
//
//   epore::FaultyNetwork network;
//   network.shrink_reads(1);
//   epore::Runtime runtime({.kernel = network.kernel()});
//
// With a ManualClock: epore::ManualClock clock(network.kernel()), and clock.kernel() for the
// runtime.
//
// Threads: any thread may call any method. A change holds for system calls that begin later.
//
// Lifetime: it must outlive the runtimes that it is given to, their handles, and threads that a
// shutdown leaves behind.
//
// Edges. Only streams are cut, never datagrams. Runtimes use epoll or poll(2) here: io_uring is
// refused to them (RuntimeOptions::require_selector).
class FaultyNetwork {
 public:
  FaultyNetwork();
  ~FaultyNetwork();
  FaultyNetwork(const FaultyNetwork&) = delete;
  FaultyNetwork& operator=(const FaultyNetwork&) = delete;

  // For RuntimeOptions::kernel. It lives as long as the network.
  Kernel* kernel() const;

  // No system call reads, or writes, more than `most` bytes of a connection. The bytes do arrive,
  // later. `most` is at least 1.
  void shrink_reads(std::size_t most);
  void shrink_writes(std::size_t most);

  // The next attempt of a connect() at an address fails with this errno, such as ECONNREFUSED or
  // ENETUNREACH, and reaches nobody. A name with several addresses has several attempts. Sockets of
  // datagrams and listeners are not concerned. `error` is not EINPROGRESS, EINTR or EAGAIN, after
  // which an attempt goes on.
  void refuse_next_connect(int error);

 private:
  const std::unique_ptr<internal::FaultyKernel> kernel_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_TESTING_FAULTY_NETWORK_H_
