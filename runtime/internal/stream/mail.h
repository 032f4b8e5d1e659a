#ifndef EPORE_RUNTIME_INTERNAL_STREAM_MAIL_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_MAIL_H_

#include <memory>
#include <utility>

#include "epore/runtime/internal/base/handoff.h"
#include "epore/runtime/internal/base/node_cache.h"

namespace epore::internal {

// Something for a connection's order: made by any thread, delivered by the connection's runner.
class Mail : public HandoffNode<Mail>, public InNodeCache {
 public:
  virtual ~Mail() = default;
  virtual void deliver() = 0;
};

using MailList = HandoffList<Mail>;

// Mail in the order in which it was pushed. What the runner leaves for itself waits in a list of
// its own, which costs no locked instruction. Its thread has pushed nothing that is younger, so
// that list comes first.
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { (void)take(); }

  void push(std::unique_ptr<Mail> mail) {
    (void)pushed_.push(mail.get());  // nobody closes it
    (void)mail.release();
  }

  // The runner. True: there was no other of these, so it must have itself run again.
  bool push_own(std::unique_ptr<Mail> mail) {
    const bool is_first = own_.empty();
    own_.push(std::move(mail));
    return is_first;
  }

  // The runner.
  bool empty() const { return own_.empty() && pushed_.empty(); }

  // The runner: all that is there.
  MailList take() {
    MailList taken(std::move(own_));
    taken.append(pushed_.take());
    return taken;
  }

 private:
  Handoff<Mail> pushed_;
  MailList own_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_MAIL_H_
