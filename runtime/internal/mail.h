#ifndef EPORE_RUNTIME_INTERNAL_MAIL_H_
#define EPORE_RUNTIME_INTERNAL_MAIL_H_

#include <atomic>
#include <utility>

#include "runtime/internal/node_cache.h"

namespace epore::internal {

// Something for a connection's order: made by any thread, delivered by the connection's runner.
class Mail : public InNodeCache {
 public:
  virtual ~Mail() = default;
  virtual void deliver() = 0;

 private:
  friend class Mailbox;
  Mail* next_ = nullptr;
};

// Mail in the order in which it was pushed: a stack that any thread pushes to, and a list that the
// runner alone takes from, refilled with the whole stack at a time: by fetch() or pop(). What the
// runner leaves for itself waits in a list of its own, which costs no locked instruction. Its
// thread has left nothing on the stack that is younger, so that list comes first.
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() {
    while (Mail* mail = pop()) delete mail;
  }

  // acq_rel: all pushes are one release sequence, so that whoever takes the stack sees their mail.
  void push(Mail* mail) {
    Mail* head = pushed_.load(std::memory_order_relaxed);
    do {
      mail->next_ = head;
    } while (!pushed_.compare_exchange_weak(head, mail, std::memory_order_acq_rel,
                                            std::memory_order_relaxed));
  }

  // The runner. True: there was no other of these, so it must have itself run again.
  bool push_own(Mail* mail) {
    mail->next_ = nullptr;
    const bool is_first = own_first_ == nullptr;
    (is_first ? own_first_ : own_last_->next_) = mail;
    own_last_ = mail;
    return is_first;
  }

  // The runner.
  bool empty() const {
    return first_ == nullptr && own_first_ == nullptr &&
           pushed_.load(std::memory_order_acquire) == nullptr;
  }

  // The runner: whether there is any. What comes later does not come to pop_fetched().
  bool fetch() {
    if (first_ == nullptr) refill();
    return first_ != nullptr;
  }
  Mail* pop_fetched() { return first_ != nullptr ? std::exchange(first_, first_->next_) : nullptr; }

  // The runner: the first one, which is then its own, or null.
  Mail* pop() {
    if (first_ == nullptr) refill();
    return pop_fetched();
  }

 private:
  void refill() {
    if (pushed_.load(std::memory_order_acquire) != nullptr) {
      Mail* stack = pushed_.exchange(nullptr, std::memory_order_acq_rel);
      while (stack != nullptr) {
        Mail* next = std::exchange(stack->next_, first_);
        first_ = stack;
        stack = next;
      }
    }
    if (own_first_ != nullptr) {
      own_last_->next_ = first_;
      first_ = std::exchange(own_first_, nullptr);
    }
  }

  std::atomic<Mail*> pushed_{nullptr};
  Mail* first_ = nullptr;
  Mail* own_first_ = nullptr;
  Mail* own_last_ = nullptr;  // while there is a first
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_MAIL_H_
