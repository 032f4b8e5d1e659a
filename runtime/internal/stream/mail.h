#ifndef EPORE_RUNTIME_INTERNAL_STREAM_MAIL_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_MAIL_H_

#include <memory>

#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/handoff.h"

namespace epore::internal {

// A Mail is work for the order of a connection. Any thread leaves it, the runner delivers it.
class Mail : public HandoffNode<Mail>, public InFrameCache {
 public:
  virtual ~Mail() = default;
  virtual void deliver() = 0;

  // Called instead of deliver() after the end of the connection. Most mail is dropped then.
  virtual void deliver_late() {}
};

// A list that owns its mail, in order. One thread at a time.
class MailList {
 public:
  MailList() = default;
  MailList(MailList&&) noexcept = default;
  MailList& operator=(MailList&&) = delete;
  ~MailList() {
    while (!empty()) (void)pop();
  }

  void push(std::unique_ptr<Mail> mail) { ring_.push(mail.release()); }

  // Adds the mail of Handoff::take() to the end, and owns it.
  void append(Handoff<Mail>::Chain chain) { ring_.append(chain); }

  std::unique_ptr<Mail> pop() { return std::unique_ptr<Mail>(ring_.pop()); }
  bool empty() const { return ring_.empty(); }

 private:
  HandoffRing<Mail> ring_;
};

// A Mailbox holds the mail of a connection in the order of the pushes. Mail that the runner leaves
// for itself goes into a list of its own, which needs no locked instruction. This list is delivered
// first: the runner uses it only as long as nobody else has pushed mail.
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { (void)take(); }

  void push(std::unique_ptr<Mail> mail) {
    (void)pushed_.push(mail.get());  // cannot fail: no thread closes pushed_
    (void)mail.release();
  }

  // The runner only. True: the list was empty before, so the runner must ask for another run.
  bool push_own(std::unique_ptr<Mail> mail) {
    if (!pushed_.empty()) {
      push(std::move(mail));
      return true;
    }
    const bool is_first = own_.empty();
    own_.push(std::move(mail));
    return is_first;
  }

  // The order of the connection only.
  bool empty() const { return own_.empty() && pushed_.empty(); }

  // The runner only: takes all mail.
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
