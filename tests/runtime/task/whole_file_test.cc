// read_file() and write_file().

#include "epore/runtime/whole_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

class WholeFileTest : public testing::Test {
 protected:
  WholeFileTest() { ::unlink(path_.c_str()); }
  ~WholeFileTest() override { ::unlink(path_.c_str()); }

  absl::StatusOr<std::string> read(std::size_t limit = kMostOfAFile) {
    absl::StatusOr<std::string> got;
    absl::Status run =
        runtime_.run([&]() -> Task<> { got = co_await read_file(path_, Lane(), limit).result(); });
    return run.ok() ? got : run;
  }
  absl::Status write(std::string bytes) {
    return runtime_.run([&]() -> Task<> { co_await write_file(path_, bytes); });
  }

  const ExpectNoFdLeak no_leak_;
  FaultKernel kernel_;
  Runtime runtime_{{.kernel = &kernel_}};
  const std::string path_ = absl::StrCat(testing::TempDir(), "/whole_file.", ::getpid());
};

TEST_F(WholeFileTest, WhatIsWrittenIsRead) {
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 1'000'000u}) {
    const std::string bytes(size, 'x');
    EXPECT_EQ(write(bytes), absl::OkStatus());
    EXPECT_EQ(read().value(), bytes) << size;
    EXPECT_EQ(read(size).value(), bytes) << "the limit is what it may have";
    if (size == 0) continue;
    const absl::Status large = read(size - 1).status();
    EXPECT_TRUE(absl::IsResourceExhausted(large)) << large;
    EXPECT_TRUE(absl::StrContains(large.message(), path_)) << large;
  }
  EXPECT_EQ(write("short"), absl::OkStatus());
  EXPECT_EQ(read().value(), "short") << "nothing of the longer one is left";
}

TEST_F(WholeFileTest, ShortAndInterruptedCallsGoOn) {
  kernel_.fail(KernelCall::kOpen, EINTR);  // by a file system of the network or of FUSE
  EXPECT_EQ(write(std::string(10'000, 'x')), absl::OkStatus());
  kernel_.fail(KernelCall::kOpen, EINTR);
  kernel_.shrink_recvs(999);
  kernel_.fail(KernelCall::kPread, EINTR, 3);
  EXPECT_EQ(read().value(), std::string(10'000, 'x'));
}

// The size of a file of /proc is 0.
TEST_F(WholeFileTest, AFileThatDoesNotTellItsSizeIsRead) {
  absl::Status status = runtime_.run([]() -> Task<> {
    const std::string status = co_await read_file("/proc/self/status");
    EXPECT_TRUE(absl::StrContains(status, "VmRSS")) << status;
  });
  EXPECT_EQ(status, absl::OkStatus());
}

TEST_F(WholeFileTest, ErrorsNameThePathAndTheCall) {
  const auto expect = [&](const absl::Status& status, int error, std::string_view call) {
    EXPECT_EQ(errno_of(status), error) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(call, "(", path_))) << status;
  };
  expect(read().status(), ENOENT, "open");
  for (const int error : {EACCES, EMFILE, ENOSPC, EROFS}) {
    kernel_.fail(KernelCall::kOpen, error);
    expect(write("x"), error, "open");
  }
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    // Not those to the runtime's eventfd.
    kernel_.fail_if(KernelCall::kWrite, [error](const FaultKernel::Call& call) {
      struct stat status = {};
      return ::fstat(call.fd, &status) == 0 && S_ISREG(status.st_mode) ? error : 0;
    });
    expect(write("x"), error, "write");
    kernel_.fail_if(KernelCall::kWrite, nullptr);
    kernel_.fail(KernelCall::kClose, error);
    expect(write("x"), error, "close");
  }
  kernel_.fail(KernelCall::kFstat, EIO);
  expect(read().status(), EIO, "fstat");
  kernel_.fail(KernelCall::kPread, EIO);
  expect(read().status(), EIO, "pread");
}

}  // namespace
}  // namespace epore
