// Which engine a Poll gets: by option, by EPORE_SELECTOR, by default.

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/status/status_matchers.h"
#include "epore/poll/poll.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"

namespace epore {
namespace {

using absl_testing::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

class SelectorChoiceTest : public testing::Test {
 protected:
  SelectorChoiceTest() { ::unsetenv("EPORE_SELECTOR"); }
  ~SelectorChoiceTest() override { ::unsetenv("EPORE_SELECTOR"); }

  static std::string chosen(const PollOptions& options = {}) {
    const absl::StatusOr<Poll> poll = Poll::create(options);
    return poll.ok() ? std::string(poll->registry()->selector_name()) : poll.status().ToString();
  }
};

TEST_F(SelectorChoiceTest, PrintsTheDefault) {
  std::cout << "the default selector is " << chosen() << "\n";
  EXPECT_EQ(chosen(), "epoll");
}

TEST_F(SelectorChoiceTest, TheOptionChooses) {
  EXPECT_EQ(chosen({.selector = "epoll"}), "epoll");
  EXPECT_EQ(chosen({.selector = "poll"}), "poll");
}

TEST_F(SelectorChoiceTest, TheEnvironmentChoosesWhereTheOptionDoesNot) {
  ::setenv("EPORE_SELECTOR", "poll", 1);
  EXPECT_EQ(chosen(), "poll");
  EXPECT_EQ(chosen({.selector = "epoll"}), "epoll");
  ::setenv("EPORE_SELECTOR", "", 1);
  EXPECT_EQ(chosen(), "epoll");
}

TEST_F(SelectorChoiceTest, AnUnknownNameIsAnErrorThatListsTheKnownOnes) {
  const auto lists_known = AllOf(HasSubstr("\"io_urging\""), HasSubstr("epoll"), HasSubstr("poll"));
  EXPECT_THAT(Poll::create({.selector = "io_urging"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(lists_known, HasSubstr("PollOptions::selector"))));
  ::setenv("EPORE_SELECTOR", "io_urging", 1);
  EXPECT_THAT(Poll::create({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                         AllOf(lists_known, HasSubstr("EPORE_SELECTOR"))));
}

// Whatever the errno; but whoever asks for an engine by its name gets that one or the error.
TEST_F(SelectorChoiceTest, WhereEpollIsRefusedTheNextEngineIsTheBest) {
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP}) {
    FaultKernel kernel;
    kernel.fail(KernelCall::kEpollCreate, error, 1, FaultKernel::kAlways);
    EXPECT_EQ(chosen({.kernel = &kernel}), "poll");
    EXPECT_THAT(chosen({.selector = "epoll", .kernel = &kernel}), HasSubstr("epoll_create1"));
  }
  for (const int error : {EMFILE, ENFILE, ENOMEM}) {
    FaultKernel kernel;
    kernel.fail(KernelCall::kEpollCreate, error);
    EXPECT_THAT(chosen({.kernel = &kernel}), HasSubstr("epoll_create1"));
  }
}

// It is never on silently: only who asks for it gets it, and where it is refused the error.
TEST_F(SelectorChoiceTest, IoUringIsForWhoAsksForIt) {
  for (const KernelCall call : {KernelCall::kIoUringSetup, KernelCall::kIoUringEnter,
                                KernelCall::kIoUringRegister, KernelCall::kMmap}) {
    for (const int error : {ENOSYS, EPERM, EACCES, EINVAL, ENOMEM}) {
      FaultKernel kernel;
      kernel.fail(call, error, 1, FaultKernel::kAlways);
      EXPECT_THAT(chosen({.selector = "io_uring", .kernel = &kernel}),
                  HasSubstr(kernel_call_name(call)));
    }
  }
  FaultKernel kernel;
  kernel.fail(KernelCall::kEpollCreate, EPERM, 1, FaultKernel::kAlways);
  EXPECT_EQ(chosen({.kernel = &kernel}), "poll");
  EXPECT_EQ(kernel.calls(KernelCall::kIoUringSetup), 0u);
}

TEST_F(SelectorChoiceTest, OnlyPollHasNoEdges) {
  EXPECT_TRUE(Poll::create({.selector = "epoll"})->registry()->has_edges());
  EXPECT_FALSE(Poll::create({.selector = "poll"})->registry()->has_edges());
}

}  // namespace
}  // namespace epore
