// FaultyKernel: which of its calls are cut, and which are not.

#include "epore/runtime/internal/testing/faulty_kernel.h"

#include <poll.h>

#include <string>

#include "epore/poll/kernel/kernel.h"
#include "gtest/gtest.h"
#include "tests/support/sockets.h"

namespace epore::internal {
namespace {

TEST(FaultyKernelTest, ASpliceFromAConnectionReads) {
  FaultyKernel kernel(Kernel::real());
  const SocketPair pair = tcp_pair();
  const Pipe pipe = make_pipe();
  write_all(pair.a.get(), "0123456789");
  pollfd arrived = {pair.b.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&arrived, 1, -1), 1);
  kernel.shrink_reads(3);
  kernel.shrink_writes(2);
  EXPECT_EQ(kernel.splice(pair.b.get(), pipe.writer.get(), 100, 0).value(), 3);
  EXPECT_EQ(read_available(pipe.reader.get()), "012");
}

TEST(FaultyKernelTest, ASpliceIntoAConnectionWrites) {
  FaultyKernel kernel(Kernel::real());
  const SocketPair pair = tcp_pair();
  const Pipe pipe = make_pipe();
  write_all(pipe.writer.get(), "0123456789");
  kernel.shrink_reads(3);
  kernel.shrink_writes(2);
  EXPECT_EQ(kernel.splice(pipe.reader.get(), pair.a.get(), 100, 0).value(), 2);
  EXPECT_EQ(read_some(pair.b.get()), "01");
}

}  // namespace
}  // namespace epore::internal
