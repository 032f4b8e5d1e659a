#include "tests/bench/leaked_servers.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

using ::testing::HasSubstr;

// A folder like /proc.
class Processes {
 public:
  Processes() : folder_(testing::TempDir() + "/proc") { std::filesystem::remove_all(folder_); }

  void add(int pid, const std::string& command, const std::string& name, int parent) {
    const std::filesystem::path process = std::filesystem::path(folder_) / absl::StrCat(pid);
    std::filesystem::create_directories(process);
    std::ofstream(process / "cmdline", std::ios::binary) << command;
    std::ofstream(process / "stat") << pid << " (" << name << ") S " << parent << " 1 1 0";
  }

  absl::Status check() { return check_no_leaked_server(folder_); }

 private:
  const std::string folder_;
};

std::string command(const std::string& program, const std::string& flag) {
  return program + '\0' + flag + '\0';
}

TEST(LeakedServersTest, AServerWhoseHarnessHasEndedIsOne) {
  Processes processes;
  processes.add(100, command("/x/echo_epore", "--parent=50"), "echo_epore", 50);
  processes.add(101, command("/bin/sh", "--parent=50"), "sh", 1);
  processes.add(102, command("echo_epoll", "--work_us=1"), "echo_epoll", 1);  // started by hand
  processes.add(103, "", "kthread", 2);
  EXPECT_TRUE(processes.check().ok()) << processes.check();
  processes.add(104, command("/x/echo_asio", "--parent=50"), "echo) (asio", 1);
  const absl::Status status = processes.check();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("echo_asio, process 104"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("kill 104"));
}

TEST(SoleListenerTest, NamesWhoSharesThePort) {
  const auto listen = [](const Endpoint& endpoint) {
    OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    EXPECT_EQ(::bind(fd.get(), endpoint.data(), sizeof endpoint.address), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  };
  const OwnedFd first = listen(Endpoint::parse("127.0.0.1:0").value());
  const Endpoint endpoint = local_endpoint(first.get()).value();
  EXPECT_TRUE(check_sole_listener(endpoint, ::getpid()).ok());
  const OwnedFd second = listen(endpoint);
  EXPECT_TRUE(check_sole_listener(endpoint, ::getpid()).ok());
  // For a server in another process both are somebody else's.
  const absl::Status status = check_sole_listener(endpoint, ::getppid());
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(endpoint.to_string()));
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("kill ", ::getpid())));
}

}  // namespace
}  // namespace epore::bench
