#ifndef EPORE_TESTS_RUNTIME_INTERNAL_BASE_TEST_NODE_H_
#define EPORE_TESTS_RUNTIME_INTERNAL_BASE_TEST_NODE_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// A node for a queue or a heap alone: there is no reactor, and nobody asks for one.
class TestNode final : public PeriodicNode {
 public:
  using TimerNode::kOut;

  explicit TestNode(std::function<void()> when_expired = [] {})
      : PeriodicNode(no_reactor(), Kind::lasting), when_expired_(std::move(when_expired)) {}

  void expired() override { when_expired_(); }
  void run() override {}
  std::string describe() const override { return "a test's node"; }

 private:
  static Reactor& no_reactor() {
    alignas(std::max_align_t) static std::byte memory[1];
    return reinterpret_cast<Reactor&>(memory);
  }

  const std::function<void()> when_expired_;
};

}  // namespace epore::internal

#endif  // EPORE_TESTS_RUNTIME_INTERNAL_BASE_TEST_NODE_H_
