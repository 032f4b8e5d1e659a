#ifndef EPORE_RUNTIME_INTERNAL_BASE_HANDOFF_H_
#define EPORE_RUNTIME_INTERNAL_BASE_HANDOFF_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace epore::internal {

// Nodes that any thread pushes, and that one thread takes, all at once and in the order of the
// pushes. A Treiber stack that the taker reverses; as nothing is popped singly there is no ABA. The
// taker may close it when it goes, so that nothing can lie there for ever; what is left when this
// is destroyed is its owner's to take before.
//
// Node has a Node* next_ that it lets this use.
template <typename Node>
class Handoff {
 public:
  // In the order of the pushes; the last one's next_ is null.
  struct Chain {
    Node* first = nullptr;
    Node* last = nullptr;
    std::size_t size = 0;
  };

  // False, and not taken: it is closed.
  //
  // Every push is in one release sequence, so that take() sees all of their writes. Sequentially
  // consistent for the sake of WakeFlag::is_awake() and DispatchWord::wake_pushed().
  [[nodiscard]] bool push(Node* node) {
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) return false;
      node->next_ = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return true;
  }

  bool empty() const {
    const Node* head = head_.load(std::memory_order_seq_cst);
    return head == nullptr || head == closed();
  }

  // The taker.
  Chain take() {
    Chain chain;
    if (empty()) return chain;
    Node* stack = head_.exchange(nullptr, std::memory_order_acq_rel);
    chain.last = stack;
    while (stack != nullptr) {
      Node* const next = std::exchange(stack->next_, chain.first);
      chain.first = std::exchange(stack, next);
      ++chain.size;
    }
    return chain;
  }

  // The taker. False: there is something to take first.
  bool close() {
    Node* head = nullptr;
    return head_.compare_exchange_strong(head, closed(), std::memory_order_acq_rel) ||
           head == closed();
  }

 private:
  static Node* closed() { return reinterpret_cast<Node*>(std::uintptr_t{1}); }

  std::atomic<Node*> head_{nullptr};
};

// Base of a node that one list at a time owns.
template <typename Node>
class HandoffNode {
 private:
  template <typename>
  friend class Handoff;
  template <typename>
  friend class HandoffList;

  Node* next_ = nullptr;
};

// Such nodes in order: one thread's, which has taken or pushed them. Owns them.
template <typename Node>
class HandoffList {
 public:
  HandoffList() = default;
  HandoffList(HandoffList&& other) noexcept : chain_(std::exchange(other.chain_, {})) {}
  HandoffList& operator=(HandoffList&&) = delete;
  ~HandoffList() {
    while (!empty()) (void)pop();
  }

  void push(std::unique_ptr<Node> node) {
    node->next_ = nullptr;
    append({.first = node.get(), .last = node.get(), .size = 1});
    (void)node.release();
  }

  // Takes over what Handoff::take() returned.
  void append(typename Handoff<Node>::Chain chain) {
    if (chain.size == 0) return;
    (empty() ? chain_.first : chain_.last->next_) = chain.first;
    chain_.last = chain.last;
    chain_.size += chain.size;
  }

  std::unique_ptr<Node> pop() {
    Node* const first = chain_.first;
    chain_.first = first->next_;
    --chain_.size;
    return std::unique_ptr<Node>(first);
  }

  bool empty() const { return chain_.first == nullptr; }
  std::size_t size() const { return chain_.size; }

 private:
  typename Handoff<Node>::Chain chain_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_HANDOFF_H_
