#ifndef EPORE_TESTS_POLL_CONFORMANCE_ENGINE_TEST_H_
#define EPORE_TESTS_POLL_CONFORMANCE_ENGINE_TEST_H_

#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/status_matchers.h"
#include "absl/status/statusor.h"
#include "epore/poll/engine/selector_factory.h"
#include "epore/poll/poll.h"
#include "epore/poll/waker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/expect_events.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/print.h"
#include "tests/support/sockets.h"

namespace epore {

using absl_testing::IsOk;
using absl_testing::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

// The kinds of calls with which an engine does its work, for hooks and faults.
struct EngineCalls {
  KernelCall create;  // makes the first descriptor
  KernelCall change;  // the first call of add() and modify()
  KernelCall wait;    // blocks in wait()
};
inline EngineCalls calls_of(std::string_view engine) {
  if (engine == "epoll") {
    return {KernelCall::kEpollCreate, KernelCall::kEpollCtl, KernelCall::kEpollWait};
  }
  if (engine == "io_uring") {
    return {KernelCall::kIoUringSetup, KernelCall::kFstat, KernelCall::kIoUringEnter};
  }
  CHECK_EQ(engine, "poll") << "name its calls here";
  return {KernelCall::kEventfd, KernelCall::kFstat, KernelCall::kPoll};
}

// A Poll over one engine, by its name, and a kernel to trouble it with. One behavioural suite runs
// over every engine: what differs is asked of Registry::has_edges().
class EngineTest : public testing::TestWithParam<std::string> {
 protected:
  EngineTest() : EngineTest(kernel_) {}
  explicit EngineTest(Kernel& kernel)
      : used_kernel_(kernel), poll_(make_poll()), registry_(poll_.registry()) {}

  PollOptions options() { return {.selector = GetParam(), .kernel = &used_kernel_}; }

  Poll make_poll() {
    absl::StatusOr<Poll> poll = Poll::create(options());
    CHECK_OK(poll.status());
    return *std::move(poll);
  }

  Waker make_waker(Token token) {
    absl::StatusOr<Waker> waker = Waker::create(registry_, token);
    CHECK_OK(waker.status());
    return *std::move(waker);
  }

  EngineCalls calls() const { return calls_of(GetParam()); }

  // The kind of call that blocks in poll().
  KernelCall wait_call() const { return calls().wait; }

  FaultKernel kernel_;
  Kernel& used_kernel_;  // kernel_ unless the test brings another
  Poll poll_;
  std::shared_ptr<Registry> registry_;
};

// The engines that this system does not refuse. Prints those that it does, and why.
inline std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const internal::Engine& engine : internal::engines()) {
    const absl::StatusOr<Poll> poll = Poll::create({.selector = std::string(engine.name)});
    if (poll.ok()) {
      names.emplace_back(engine.name);
    } else {
      std::cout << "skipped: the engine " << engine.name << ", as " << poll.status() << std::endl;
    }
  }
  return names;
}

#define EPORE_FOR_EVERY_ENGINE(suite)                                  \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(engine_names()), \
                           [](const auto& info) { return info.param; })

}  // namespace epore

#endif  // EPORE_TESTS_POLL_CONFORMANCE_ENGINE_TEST_H_
