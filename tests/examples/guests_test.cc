// A guest in the loop of a host: both are served, and the guest drains at the host's end.

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "epore/poll/owned_fd.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

class GuestTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Everywhere, GuestTest, testing::Values("in_epoll", "in_glib", "in_libuv"),
                         [](const auto& info) { return std::string(info.param); });

// Replaces this process's standard input by a pipe, which children inherit.
epore::OwnedFd pipe_to_stdin() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const epore::OwnedFd out(ends[0]);
  epore::OwnedFd in(ends[1]);
  if (::dup2(out.get(), STDIN_FILENO) < 0) return {};
  return in;
}

TEST_P(GuestTest, ServesItsClientsAndTheHost) {
  epore::OwnedFd input = pipe_to_stdin();
  ASSERT_TRUE(input.is_valid());
  ChildProcess program = start_program(GetParam());
  const std::string first = program.read_line().value_or("");
  if (absl::StartsWith(first, "SKIP ")) GTEST_SKIP() << first.substr(5);
  ASSERT_TRUE(absl::StartsWith(first, "LISTEN ")) << first;
  std::optional<Client> client(std::in_place, std::string(absl::StripPrefix(first, "LISTEN ")));
  ASSERT_TRUE(client->send("hello"));
  EXPECT_EQ(client->read_exactly(5), "hello");

  ASSERT_EQ(::write(input.get(), "abc", 3), 3);
  EXPECT_EQ(program.read_line(), "INPUT 3");
  ASSERT_TRUE(client->send("again"));
  EXPECT_EQ(client->read_exactly(5), "again");

  input.reset();
  EXPECT_TRUE(client->is_at_end());  // the drain closes the server's half
  client.reset();                    // and waits for the other one
  EXPECT_EQ(program.wait().value_or(-1), 0);
}

// epoll(7) refuses a descriptor that is ready at any time, such as a file's; GLib's poll(2) does
// not.
TEST_P(GuestTest, SaysThatItsInputCannotBeWaitedFor) {
  const epore::OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_GE(::dup2(file.get(), STDIN_FILENO), 0);
  ChildProcess program = start_program(GetParam());
  const std::string first = program.read_line().value_or("");
  if (absl::StartsWith(first, "SKIP ")) GTEST_SKIP() << first.substr(5);
  if (GetParam() == std::string_view("in_glib")) {
    EXPECT_EQ(program.wait().value_or(-1), 0);  // an input that is at its end
    return;
  }
  EXPECT_EQ(program.wait().value_or(-1), 1);
  const std::string error = program.read_error_line().value_or("");
  EXPECT_TRUE(absl::StrContains(error, "the input cannot be waited for")) << error;
}

}  // namespace
}  // namespace examples
