#ifndef EPORE_RUNTIME_INTERNAL_BASE_HANDOFF_H_
#define EPORE_RUNTIME_INTERNAL_BASE_HANDOFF_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace epore::internal {

// A Handoff is a list of nodes that any thread pushes to. One thread takes all of them at once, in
// the order of the pushes. The taker may close the Handoff when it ends, so that no node lies there
// for ever. Whoever destroys a Handoff must take what is left first.
//
// Node has a member `Node* next_` for the Handoff.
template <typename Node>
class Handoff {
 public:
  // Nodes in the order of the pushes. The next_ of the last one is null.
  struct Chain {
    Node* first = nullptr;
    Node* last = nullptr;
    std::size_t size = 0;
  };

  // Any thread. Returns false, and leaves the node to the caller, if the Handoff is closed.
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

  // The taker only: takes all nodes.
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

  // The taker only: closes the Handoff. Returns false if there are nodes to take first.
  bool close() {
    Node* head = nullptr;
    return head_.compare_exchange_strong(head, closed(), std::memory_order_acq_rel) ||
           head == closed();
  }

 private:
  static Node* closed() { return reinterpret_cast<Node*>(std::uintptr_t{1}); }

  // A stack: the node that was pushed last, null, or closed(). The taker reverses it. No node is
  // popped alone, so there is no ABA.
  //
  // push() is a seq_cst compare-exchange, empty() a seq_cst load, take() an acq_rel exchange. All
  // pushes are in one release sequence, so take() sees what each pusher wrote. The seq_cst order is
  // for the race of a push with a thread that falls asleep (WakeFlag) or a run that ends
  // (DispatchWord).
  std::atomic<Node*> head_{nullptr};
};

// The base of a node. One list at a time owns it.
template <typename Node>
class HandoffNode {
 protected:
  // For another list, while this node is in none of these.
  Node*& next_in_list() { return next_; }

 private:
  template <typename>
  friend class Handoff;
  template <typename>
  friend class HandoffList;
  template <typename>
  friend class HandoffRing;

  Node* next_ = nullptr;
};

// A list of one word, in order, for an object of which there are many. It does not own its nodes.
// One thread at a time.
template <typename Node>
class HandoffRing {
 public:
  HandoffRing() = default;
  HandoffRing(HandoffRing&& other) noexcept : last_(std::exchange(other.last_, nullptr)) {}
  HandoffRing& operator=(HandoffRing&&) = delete;

  void push(Node* node) { append({.first = node, .last = node, .size = 1}); }

  // Adds the nodes of Handoff::take() to the end.
  void append(typename Handoff<Node>::Chain chain) {
    if (chain.size == 0) return;
    chain.last->next_ = last_ == nullptr ? chain.first : std::exchange(last_->next_, chain.first);
    last_ = chain.last;
  }

  // Requires that there is one.
  Node* pop() {
    Node* const first = last_->next_;
    if (first == last_) {
      last_ = nullptr;
    } else {
      last_->next_ = first->next_;
    }
    return first;
  }

  bool empty() const { return last_ == nullptr; }

 private:
  Node* last_ = nullptr;  // whose next one is the first
};

// A list that owns its nodes, in order. One thread at a time.
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

  // Adds the nodes of Handoff::take() to the end, and owns them.
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
