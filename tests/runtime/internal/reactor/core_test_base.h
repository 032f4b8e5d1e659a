#ifndef EPORE_TESTS_RUNTIME_INTERNAL_REACTOR_CORE_TEST_BASE_H_
#define EPORE_TESTS_RUNTIME_INTERNAL_REACTOR_CORE_TEST_BASE_H_

#include <functional>
#include <utility>

#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/reactor.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"

namespace epore::internal {

// A Runnable that does what the test says.
class TestRunnable : public Runnable {
 public:
  TestRunnable(Reactor& home, std::function<void()> body, Kind kind = Kind::lasting)
      : Runnable(home, kind), body_(std::move(body)) {}
  void run() override { body_(); }
  std::string describe() const override { return "a test"; }

 private:
  const std::function<void()> body_;
};

// A Registration that does, and that tells of its destruction.
class TestRegistration : public Registration {
 public:
  explicit TestRegistration(
      Reactor& home, std::function<void()> body = [] {}, Kind kind = Kind::lasting)
      : Registration(home, kind), body_(std::move(body)) {}
  ~TestRegistration() override {
    if (when_destroyed) when_destroyed();
  }
  void run() override { body_(); }
  std::string describe() const override { return "a test"; }
  bool is_connection() const override { return true; }
  void expired() override {}
  void shut_down(ShutdownStep) override {}

  using Registration::retire;
  std::function<void()> when_destroyed;

 private:
  const std::function<void()> body_;
};

// A Core with one reactor, one that runs callbacks on its poll thread if the test does not say
// otherwise, shut down at the end and then known to leave no descriptor behind.
class CoreTest : public testing::Test {
 protected:
  ~CoreTest() override {
    if (core_) (void)core_->shutdown().run(0, [] { return false; });
  }

  Core& core(Dispatch dispatch = Dispatch::poll_thread, int workers = 2) {
    if (!core_) {
      RuntimeOptions options;
      options.dispatch = dispatch;
      options.workers = workers;
      options.kernel = &kernel_;
      core_ = Ref<Core>::adopt(new Core(options));
      EXPECT_TRUE(core_->status().ok()) << core_->status();
    }
    return *core_;
  }
  Reactor& reactor() { return *core().reactors().front(); }

  const ExpectNoFdLeak no_leak_;
  FaultKernel kernel_;

 private:
  Ref<Core> core_;
};

}  // namespace epore::internal

#endif  // EPORE_TESTS_RUNTIME_INTERNAL_REACTOR_CORE_TEST_BASE_H_
