// A guest in the loop of a host: both are served, and the guest drains at the host's end.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "epore/poll/owned_fd.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

// Replaces this process's standard input by a pipe, which children inherit.
epore::OwnedFd pipe_to_stdin() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const epore::OwnedFd out(ends[0]);
  epore::OwnedFd in(ends[1]);
  if (::dup2(out.get(), STDIN_FILENO) < 0) return {};
  return in;
}

TEST(InEpoll, ServesItsClientsAndTheHost) {
  epore::OwnedFd input = pipe_to_stdin();
  ASSERT_TRUE(input.is_valid());
  Server server("in_epoll", {});
  Client client(server.address);
  ASSERT_TRUE(client.send("hello"));
  EXPECT_EQ(client.read_exactly(5), "hello");

  ASSERT_EQ(::write(input.get(), "abc", 3), 3);
  EXPECT_EQ(server.process.read_line(), "INPUT 3");
  ASSERT_TRUE(client.send("again"));
  EXPECT_EQ(client.read_exactly(5), "again");

  input.reset();
  EXPECT_TRUE(client.is_at_end());  // the drain closes it
  EXPECT_EQ(server.process.wait().value_or(-1), 0);
}

}  // namespace
}  // namespace examples
