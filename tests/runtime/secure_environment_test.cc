// Who starts a program with set-user-ID may set its environment, and has no say in it by that.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_split.h"
#include "epore/poll/owned_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using testing::HasSubstr;

constexpr uid_t kNobody = 65534;

// What the program says, started by `user` with an environment that asks for things.
std::vector<std::string> lines_of(const std::string& program, uid_t user) {
  int ends[2];
  PCHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  const pid_t child = ::fork();
  PCHECK(child >= 0);
  if (child == 0) {
    char* const arguments[] = {const_cast<char*>(program.c_str()), nullptr};
    const char* const environment[] = {"EPORE_SELECTOR=poll", "LISTEN_PID=1", "LISTEN_FDS=1",
                                       "NOTIFY_SOCKET=no path", nullptr};
    if (::setgid(user) == 0 && ::setuid(user) == 0 && ::dup2(writer.get(), STDOUT_FILENO) >= 0) {
      ::execve(program.c_str(), arguments, const_cast<char* const*>(environment));
    }
    ::_exit(127);
  }
  writer.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  int status = 0;
  PCHECK(::waitpid(child, &status, 0) == child);
  EXPECT_EQ(status, 0) << text;
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  lines.resize(3);
  return lines;
}

TEST(SecureEnvironment, NothingIsTakenFromWhoHasFewerRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a program with set-user-ID of root";
  const TemporaryDirectory folder;
  const std::string program = folder.path("program");
  PCHECK(::chmod(folder.path("").c_str(), 0755) == 0);
  std::filesystem::copy_file("tests/runtime/secure_environment_program", program);
  PCHECK(::chmod(program.c_str(), 04755) == 0);
  struct statvfs system = {};
  PCHECK(::statvfs(program.c_str(), &system) == 0);
  if ((system.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << "/tmp is mounted nosuid";

  const std::vector<std::string> trusted = lines_of(program, 0);
  EXPECT_EQ(trusted[0], "poll");
  EXPECT_THAT(trusted[1], HasSubstr("LISTEN_PID is 1"));
  EXPECT_THAT(trusted[2], HasSubstr("NOTIFY_SOCKET"));

  const std::vector<std::string> secure = lines_of(program, kNobody);
  EXPECT_EQ(secure[0], "epoll");
  EXPECT_THAT(secure[1], HasSubstr("not trusted"));
  EXPECT_EQ(secure[2], "OK");
}

}  // namespace
}  // namespace epore
