// Every row of the table of errors in poll/registry.h, on every engine.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/poll/conformance/engine_test.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

constexpr Token kToken{7};

class RegistryErrorsTest : public EngineTest {
 protected:
  // Call, descriptor and errno, as in "register_fd(fd 7): EEXIST (File exists)".
  static auto names(const char* call, int fd, const char* error) {
    return AllOf(HasSubstr(absl::StrCat(call, "(fd ", fd, ")")), HasSubstr(error));
  }

  const SocketPair pair_ = unix_pair();
  const int fd_ = pair_.a.get();
};
EPORE_FOR_EVERY_ENGINE(RegistryErrorsTest);

TEST_P(RegistryErrorsTest, SecondRegistrationIsAlreadyExists) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  EXPECT_THAT(registry_->register_fd(fd_, Token{8}, Interest::writable()),
              StatusIs(absl::StatusCode::kAlreadyExists, names("register_fd", fd_, "EEXIST")));
  // The first one still holds.
  write_all(pair_.b.get(), "x");
  const Readiness ready = expect_event(poll_, kToken, Readiness::readable());
  EXPECT_FALSE(ready.is_writable());
}

TEST_P(RegistryErrorsTest, UnknownDescriptorIsNotFound) {
  EXPECT_THAT(registry_->reregister_fd(fd_, kToken, Interest::readable()),
              StatusIs(absl::StatusCode::kNotFound, names("reregister_fd", fd_, "ENOENT")));
  EXPECT_THAT(registry_->deregister_fd(fd_),
              StatusIs(absl::StatusCode::kNotFound, names("deregister_fd", fd_, "ENOENT")));
}

TEST_P(RegistryErrorsTest, SecondDeregistrationIsNotFound) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->deregister_fd(fd_), IsOk());
  EXPECT_THAT(registry_->deregister_fd(fd_),
              StatusIs(absl::StatusCode::kNotFound, names("deregister_fd", fd_, "ENOENT")));
  EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
}

TEST_P(RegistryErrorsTest, ClosedDescriptorIsFailedPrecondition) {
  SocketPair other = unix_pair();
  const int closed = other.a.get();
  other.a.reset();
  for (const int fd : {closed, -1}) {
    EXPECT_THAT(registry_->register_fd(fd, kToken, Interest::readable()),
                StatusIs(absl::StatusCode::kFailedPrecondition, names("register_fd", fd, "EBADF")));
    EXPECT_THAT(
        registry_->reregister_fd(fd, kToken, Interest::readable()),
        StatusIs(absl::StatusCode::kFailedPrecondition, names("reregister_fd", fd, "EBADF")));
    EXPECT_THAT(registry_->deregister_fd(fd), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                       names("deregister_fd", fd, "EBADF")));
  }
}

TEST_P(RegistryErrorsTest, RegularFileAndDirectoryArePermissionDenied) {
  const std::string path = absl::StrCat(testing::TempDir(), "/epore_regular_file_XXXXXX");
  std::string name = path;
  const OwnedFd file(::mkstemp(name.data()));
  ASSERT_TRUE(file.is_valid());
  ::unlink(name.c_str());
  const OwnedFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(directory.is_valid());
  for (const int fd : {file.get(), directory.get()}) {
    EXPECT_THAT(registry_->register_fd(fd, kToken, Interest::readable()),
                StatusIs(absl::StatusCode::kPermissionDenied, names("register_fd", fd, "EPERM")));
  }
}

TEST_P(RegistryErrorsTest, EmptyInterestIsInvalidArgument) {
  const Interest nothing = Interest::readable() - Interest::readable();
  EXPECT_THAT(registry_->register_fd(fd_, kToken, nothing),
              StatusIs(absl::StatusCode::kInvalidArgument, names("register_fd", fd_, "EINVAL")));
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  EXPECT_THAT(registry_->reregister_fd(fd_, kToken, nothing.level()),
              StatusIs(absl::StatusCode::kInvalidArgument, names("reregister_fd", fd_, "EINVAL")));
  write_all(pair_.b.get(), "x");
  expect_event(poll_, kToken, Readiness::readable());
}

TEST_P(RegistryErrorsTest, CallsAfterThePollIsGoneAreFailedPrecondition) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  { const Poll gone = std::move(poll_); }
  const auto is_gone = [](const char* call, int fd) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, names(call, fd, "gone"));
  };
  const int other = pair_.b.get();
  EXPECT_THAT(registry_->register_fd(other, kToken, Interest::readable()),
              is_gone("register_fd", other));
  EXPECT_THAT(registry_->reregister_fd(fd_, kToken, Interest::readable()),
              is_gone("reregister_fd", fd_));
  EXPECT_THAT(registry_->deregister_fd(fd_), is_gone("deregister_fd", fd_));
  const ExpectNoFdLeak leak;
  EXPECT_THAT(Waker::create(registry_, kToken),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gone")));
}

TEST_P(RegistryErrorsTest, WhatTheSystemRefusesKeepsItsCodeAndChangesNothing) {
  const KernelCall call = calls().change;
  kernel_.fail(call, ENOMEM);
  EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()),
              StatusIs(absl::StatusCode::kResourceExhausted, names("register_fd", fd_, "ENOMEM")));
  EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  kernel_.fail(call, ENOSPC);  // /proc/sys/fs/epoll/max_user_watches
  EXPECT_THAT(
      registry_->reregister_fd(fd_, Token{8}, Interest::readable()),
      StatusIs(absl::StatusCode::kResourceExhausted, names("reregister_fd", fd_, "ENOSPC")));
  write_all(pair_.b.get(), "x");
  expect_event(poll_, kToken, Readiness::readable());
}

TEST_P(RegistryErrorsTest, ErrorsLeakNoDescriptor) {
  const ExpectNoFdLeak leak;
  registry_->deregister_fd(fd_).IgnoreError();
  registry_->register_fd(-1, kToken, Interest::readable()).IgnoreError();
}

}  // namespace
}  // namespace epore
