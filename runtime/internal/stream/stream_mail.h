#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MAIL_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MAIL_H_

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {

// How a method of Stream reaches the runner. Included by the files of Stream only.

template <typename Action>
class Stream::ActionMail final : public Mail {
 public:
  ActionMail(Stream& stream, Action action) : stream_(stream), action_(std::move(action)) {}
  void deliver() override { action_(stream_); }

 private:
  Stream& stream_;
  Action action_;
};

inline bool Stream::is_runner() const { return this_thread.current == this; }

// Another run of the order, such as that of a task, may use the stream as its own run does.
inline bool Stream::is_in_order() const { return is_runner() || (order_ && order_->is_current()); }

// Whether the caller is in the order, and no earlier call is on its way there by mail. Then a call
// may take effect at once, and overtakes nothing. (Mail is not delivered after the end.)
inline bool Stream::has_turn() const { return is_in_order() && (mailbox_.empty() || has_ended()); }

// Sets on_closed. If the connection has ended without an on_closed, it calls the callback instead.
// The shutdown waits for that as for a connection. A callback that comes after the shutdown is not
// called.
class Stream::ClosedMail final : public Mail {
 public:
  ClosedMail(Stream& stream, Connection::ClosedCallback callback)
      : stream_(stream),
        callback_(std::move(callback)),
        may_be_called_(callback_ != nullptr && stream.core_->begin_activity()) {}
  ~ClosedMail() override {
    callback_ = nullptr;
    if (may_be_called_) stream_.core_->end_activity();
  }
  void deliver() override {
    if (stream_.has_ended()) return deliver_late();
    stream_.set_callback(&StreamExtra::on_closed, std::move(callback_));
  }
  void deliver_late() override {
    if (!may_be_called_ || stream_.was_told_closed_) return;
    stream_.was_told_closed_ = true;
    stream_.call(callback_, stream_.end_);
    stream_.self_ = Connection();
  }

 private:
  Stream& stream_;
  Connection::ClosedCallback callback_;
  const bool may_be_called_;
};

inline void Stream::leave(std::unique_ptr<Mail> mail) {
  // Saves the push for a connection that has ended. Mail that is pushed after this check, while the
  // connection ends, is discarded by its last run.
  if (has_ended_.load(std::memory_order_acquire)) return;
  push(std::move(mail));
}

inline void Stream::push(std::unique_ptr<Mail> mail) {
  if (is_runner()) {
    if (mailbox_.push_own(std::move(mail))) (void)word().wake();
    return;
  }
  mailbox_.push(std::move(mail));
  core_->wake_pushed(*this);
}

template <typename Action>
bool Stream::try_mail(Action&& action) {
  static_assert(!std::is_reference_v<Action>, "it is moved");
  std::unique_ptr<Mail> mail;
  try {
    mail = std::make_unique<ActionMail<Action>>(*this, std::move(action));
  } catch (const std::bad_alloc&) {
    return false;
  }
  leave(std::move(mail));
  return true;
}

template <typename Action>
void Stream::mail(Action action) {
  if (!try_mail(std::move(action))) no_memory();
}

template <typename Action>
void Stream::in_order(Action action) {
  if (!is_in_order()) {
    mail([action = std::move(action)](Stream& stream) mutable { action(stream); });
    return;
  }
  try {
    action(*this);
  } catch (const std::bad_alloc&) {
    no_memory();
  }
  if (!is_runner()) core_->wake(*this);  // a run settles it
}

template <typename Callback>
void Stream::set_callback(Callback Stream::*member, Callback callback) {
  replace([member](Stream& stream) -> Callback& { return stream.*member; }, std::move(callback),
          [](const Callback& held) { return &held; });
}

template <typename Callback>
void Stream::set_callback(std::unique_ptr<Callback> StreamExtra::*member, Callback callback) {
  std::unique_ptr<Callback> held;
  const auto place = [member](Stream & stream) -> auto& { return stream.make_extra().*member; };
  try {
    if (callback) held = std::make_unique<Callback>(std::move(callback));
    if (is_in_order() && !has_ended()) make_extra();
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
  replace(place, std::move(held), [](const auto& pointer) { return pointer.get(); });
}

// Replaces the callback at `place(Stream&)`. `target()` of it is the address that call() notes
// while the callback runs. A callback that replaces itself returns first. The callbacks are swapped
// and not assigned, because the destructor of the old one may set a callback again. After the end
// of the connection nothing is set: nobody would destroy the new callback.
template <typename Member, typename Place, typename Target>
void Stream::replace(Place place, Member with, Target target) {
  auto swap = [place, with = std::move(with)](Stream& stream) mutable {
    std::swap(place(stream), with);
  };
  if (!is_in_order()) return mail(std::move(swap));
  if (has_ended_.load(std::memory_order_relaxed)) return;
  if (call_ != nullptr && call_->callback == target(place(*this))) {
    try {
      call_->replacements.push(
          std::make_unique<ActionMail<decltype(swap)>>(*this, std::move(swap)));
    } catch (const std::bad_alloc&) {
      no_memory();
    }
  } else {
    swap(*this);
    if (!is_runner()) core_->wake(*this);  // it may read now
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MAIL_H_
