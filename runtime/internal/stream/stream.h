#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/poll/engine/completion_queue.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/connection_info.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/io_buffers.h"
#include "epore/runtime/internal/net/compact_address.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/stream/connection_timer.h"
#include "epore/runtime/internal/stream/high_mark.h"
#include "epore/runtime/internal/stream/inflow.h"
#include "epore/runtime/internal/stream/mail.h"
#include "epore/runtime/internal/stream/stream_extra.h"
#include "epore/runtime/internal/stream/stream_limits.h"
#include "epore/runtime/internal/stream/stream_tasks.h"
#include "epore/runtime/internal/stream/unix_peer.h"
#include "epore/runtime/internal/stream/write_queue.h"
#include "epore/runtime/options.h"

namespace epore::internal {

class SpliceReadOperation;
class SpliceWriteOperation;

// A Stream is what a Connection names: a socket with its callbacks and its write queue.
//
// The runner does all the work; this is the thread in run(). Other threads leave mail and wake the
// Stream. A run delivers mail, reads and calls on_data, writes what the callbacks have sent, and
// then settles: marks, timeouts, the next step of closing.
//
//   open --close()--> closing --queue written, FIN sent--> lingering --peer's FIN--> closed
//     |                  |                                    |                        ^
//     +---- abort(), error, exception, stall: ending, at the end of the run -----------+
class Stream final : public Registration {
 public:
  // Takes over a permit of ConnectionPermits::try_take(). A null `order` is one of its own.
  Stream(Ref<Core> core, Reactor& home, OwnedFd&& fd, Ref<const StreamLimits> limits,
         const SocketAddress& local, const SocketAddress& peer, Ref<OrderState> order);
  ~Stream() override;

  // Begins with `first` as the first callback. `is_registered`: the event queue has the descriptor
  // already, under a token that is retired. Returns false, and does nothing, if the runtime is shut
  // down or no slot is left.
  bool start(Connection::Callback first, bool is_registered);

  // -- Any thread: the methods of Connection. --
  void on_data(Connection::DataCallback callback);
  void on_read_closed(Connection::Callback callback);
  void on_writable(Connection::Callback callback);
  void on_closed(Connection::ClosedCallback callback);
  void on_drain(Connection::Callback callback);
  SendResult send(std::span<const std::byte> bytes);
  SendResult send(std::initializer_list<Piece> pieces);
  SendResult send(std::span<const ByteView> pieces);
  SendResult send(std::span<const Bytes> pieces);
  SendResult send(File file, std::uint64_t offset, std::uint64_t length);
  SendResult send(ByteView bytes, std::vector<OwnedFd> descriptors);
  SendResult send(ByteView bytes, OwnedFd descriptor);
  std::vector<OwnedFd> take_descriptors(std::size_t most);
  std::size_t queued_bytes() const;
  void pause_reading();
  void resume_reading();
  void shut_down_write();
  void close(absl::Status reason);
  void abort();
  void abort(absl::Status reason);
  void no_memory();  // as abort(), because an allocation has failed
  void set_timeout(std::int64_t StreamTimeouts::*which, absl::Duration timeout);
  absl::Status post(Connection::Callback closure);
  Ref<TimerEntry> timer(Connection::Callback callback);
  void consume(std::size_t count);
  bool is_open() const { return is_open_.load(std::memory_order_acquire); }
  bool has_ended() const { return has_ended_.load(std::memory_order_acquire); }
  const absl::Status& end() const { return end_; }  // once it has ended
  std::uint64_t id() const { return id_; }
  SocketAddress local_address() const { return local_.get(); }
  SocketAddress peer_address() const { return peer_.get(); }
  absl::StatusOr<PeerCredentials> peer_credentials() const;
  int fd() const;

  // Any thread, which the shutdown waits for (begin_activity()): describes the connection for
  // Runtime::connections(). If no thread is in its order, this one claims the order for a moment to
  // look inside. Returns false if the connection has ended. See ConnectionInfo.
  bool look(std::int64_t now, ConnectionInfo& info);

  static const Ref<Stream>& of(const Connection& connection) { return connection.stream_; }
  static Connection handle(Ref<Stream> stream) { return Connection(std::move(stream)); }

  // The last handle closes the connection. Called before there is a handle. `is_of_task`: a
  // task has made it, and its end is that of the task; otherwise a shutdown drains it.
  void count_handles(bool is_of_task);
  bool counts_handles() const { return counts_handles_; }
  void add_handle() { handles_.fetch_add(1, std::memory_order_relaxed); }
  void drop_handle();

  // -- Coroutines (stream_await*.cc). Only a run of the connection's order calls these. `status` is
  // the result of an operation that completes inside the call. --
  bool is_in_order() const;
  bool has_turn() const;
  void use_tasks() { has_tasks_ = true; }
  bool begin_read(ReadOperationBase& reader, absl::Status& status);
  bool begin_write(WriteOperationBase& writer, absl::Status& status);
  bool write_at_once(ByteView bytes);
  bool begin_closed(ClosedOperation& waiter, absl::Status& status);
  void cancel(StreamOperation& operation, const absl::Status& why);
  bool is_waiting(const StreamOperation& operation) const;
  // Whether `status` is of a read of this connection that found the end before the first byte.
  bool is_end_between_messages(const absl::Status& status) const noexcept;
  // Whether it is of a read of this connection that came too often at the end; see kEndsTold.
  bool is_past_end(const absl::Status& status) const noexcept;

  // So many reads in a row say with no byte that the peer has ended. The next one fails, because a
  // loop that does not look at them would never end.
  static constexpr std::uint8_t kEndsTold = 16;

  // The order of the task that has read: it takes what the read has got, or nobody takes it.
  void taken() { has_untaken_.store(false, std::memory_order_release); }
  // It has taken a read that was empty at the end.
  void told_end() {
    const std::uint8_t told = ends_told_.load(std::memory_order_relaxed);
    if (told < kEndsTold) ends_told_.store(told + 1, std::memory_order_relaxed);
  }
  void give_back(std::span<const std::byte> bytes, bool is_copied);
  void flush_output() override;
  void keep_view() override;

  // -- The poll thread. --
  void timer_due(Ref<ConnectionTimer> timer);
  void shut_down(ShutdownStep step) override;

  // -- The runner. --
  void run() override;
  std::string describe() const override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }
  Runnable* claim_order() override;
  void fetch_parts() const override;
  bool is_connection() const override { return true; }
  const Ref<OrderState>& order() const { return order_; }
  TimerList& timers() { return timers_; }

  // Calls user code. An exception aborts the connection. Once the runtime is cut off no callback
  // begins but `closed`.
  template <typename Function, typename... Arguments>
  void call(Function& function, Arguments&&... arguments) {
    if (!core_->is_cut_off()) [[likely]]
      call_always(function, std::forward<Arguments>(arguments)...);
  }
  template <typename Function, typename... Arguments>
  void call_always(Function& function, Arguments&&... arguments) {
    call_inline(function, std::forward<Arguments>(arguments)...);
  }
  template <typename Function, typename... Arguments>
  [[gnu::always_inline]] void call_inline(Function& function, Arguments&&... arguments) {
    // An earlier callback may have moved from the handle or assigned to it.
    if (self_.stream_.get() != this) [[unlikely]]
      self_ = Connection(Ref<Stream>::share(this));
    core_->counters().add(Counter::callbacks);
    Call call{.callback = &function, .replacements = {}};
    call_ = &call;
    absl::Status thrown;
    try {
      function(self_, std::forward<Arguments>(arguments)...);
    } catch (...) {
      thrown = caught_exception();  // does not throw
    }
    call_ = nullptr;
    if (!call.replacements.empty()) [[unlikely]]
      deliver(std::move(call.replacements));
    if (!thrown.ok()) [[unlikely]]
      exception(std::move(thrown));
  }

 private:
  enum class Phase : std::uint8_t { open, closing, lingering, ending, closed };

  // The callback that is running, and what will replace it when it returns.
  struct Call {
    const void* callback;
    MailList replacements;
  };

  friend class StreamOperation;

  template <typename Action>
  class ActionMail;
  class BytesMail;
  class SharedMail;
  class FileMail;
  class DescriptorMail;
  class ClosedMail;

  // The most bytes that one run writes. Then other connections get their turn.
  static constexpr std::size_t kWriteBudget = 1024 * 1024;

  // What counted_ and charged_ have room for.
  static constexpr std::uint64_t kMostCounted = (std::uint64_t{1} << 44) - 1;
  static constexpr std::uint64_t kMostCharged = (std::uint64_t{1} << 20) - 1;

  // Why an abort is due.
  static constexpr std::uint8_t kShutDown = 1;
  static constexpr std::uint8_t kNoMemory = 2;

  bool is_runner() const;
  void leave(std::unique_ptr<Mail> mail);
  void push(std::unique_ptr<Mail> mail);

  // Calls action(Stream&) in the connection's order, by mail. False if there is no memory for it:
  // then `action` is left as it was.
  template <typename Action>
  [[nodiscard]] bool try_mail(Action&& action);

  // As try_mail(), but without memory the connection ends.
  template <typename Action>
  void mail(Action action);

  // Calls action(Stream&): at once if this thread is the runner, otherwise by mail.
  template <typename Action>
  void in_order(Action action);

  template <typename Callback>
  void set_callback(Callback Stream::*member, Callback callback);
  template <typename Callback>
  void set_callback(std::unique_ptr<Callback> StreamExtra::*member, Callback callback);
  template <typename Member, typename Place, typename Target>
  void replace(Place place, Member with, Target target);

  StreamExtra& make_extra();                             // throws std::bad_alloc
  UnixPeer& unix_peer() const { return *extra_->unix; }  // any thread, if is_unix_
  StreamTasks* tasks() const { return extra_ ? extra_->tasks.get() : nullptr; }
  WriteOperationBase* first_writer() const {
    return tasks() != nullptr ? tasks()->first_writer : nullptr;
  }

  // stream_await.cc
  StreamTasks& make_tasks();  // throws std::bad_alloc
  void end_operations();
  void end_closed(const absl::Status& status);
  absl::Status ended_status() const;

  // stream_await_read.cc
  ReadOperationBase* reader() const { return reader_.load(std::memory_order_relaxed); }
  void set_reader(ReadOperationBase* reader) { reader_.store(reader, std::memory_order_relaxed); }
  std::span<const std::byte> received() const;
  void drop_lent();
  void drop_empty_inflow();
  void fetch_frame() const;
  void fetch_root() const;
  void pull();
  bool must_end_read(bool looks_once_more) const;
  bool receive_for(ReadOperationBase& reader);
  bool receive_into_pipe(SpliceReadOperation& reader);
  void note_received(std::size_t count);
  bool not_received(SysResult result, std::string_view call, std::uint32_t mark);
  static std::size_t count_of(const ReadOperationBase& reader);  // of a SizedReadOperation
  std::size_t room_for(const ReadOperationBase& reader) const;
  bool satisfy(ReadOperationBase& reader, absl::Status& status);
  void give(ReadOperationBase& reader, std::size_t lent);
  bool satisfy_until(ReadOperationBase& reader, absl::Status& status);
  void satisfy_at_end(ReadOperationBase& reader, absl::Status& status);
  absl::Status early_end(const char* call) const;
  absl::Status past_end(const char* call) const;
  void drop_seen(std::size_t count);
  void refuse_on_data();
  void keep_window();

  // stream_await_write.cc
  void lose_bytes();
  void append(WriteOperationBase& writer);
  bool push(WriteOperationBase& writer);
  bool push_rest(WriteOperationBase& writer, ByteView& rest);
  bool push_pieces(PiecesWriteBase& writer);
  bool push_shared(SharedWriteOperation& writer);
  bool push_file(FileWriteOperation& writer);
  bool push_splice(SpliceWriteOperation& writer);
  bool push_descriptors(DescriptorWriteOperation& writer);
  bool is_amid_write() const;
  std::size_t queued_ahead() const;
  std::size_t room_behind(std::size_t queued) const;
  void release_sent();
  void resume_writers();

  // stream_send.cc. Every message takes the path that is inline (stream_message.h).
  [[gnu::always_inline]] Output& output();
  [[gnu::always_inline]] SendResult send_here(std::span<const std::byte> bytes);
  SendResult send_above_mark(std::span<const std::byte> bytes, std::size_t queued);
  SendResult send_from_elsewhere(std::span<const std::byte> bytes);
  SendResult send_from_elsewhere(std::span<const ByteView> pieces, std::size_t size);
  SendResult leave_sent(std::unique_ptr<Mail> mail, std::size_t size);
  [[gnu::always_inline]] void put(std::span<const std::byte> bytes);
  void put_sent(std::span<const std::byte> bytes);
  void put_elsewhere(std::span<const std::byte> bytes);
  std::size_t gathered() const;
  void recount_gathered(std::size_t before, std::size_t size);
  void write_out(std::span<const std::byte> more);
  std::size_t write_some(std::span<const std::byte> first, std::span<const std::byte> second);
  [[gnu::always_inline]] std::size_t write_one(std::span<const std::byte> bytes, int flags = 0);
  std::size_t written(SysResult result, std::uint32_t mark);
  void write_failed(int error, std::uint32_t mark);
  void write_ahead_of_file();
  SysResult send_gathered(std::span<const std::byte> first, std::span<const std::byte> second);
  SysResult send_vectors(std::span<iovec> vectors, int flags);
  [[gnu::always_inline]] void flush();
  void flush_now();
  void enqueue(std::span<const std::byte> bytes);
  std::size_t queued_here() const;
  void recount();
  void uncount(std::size_t count);
  void note_counted(std::size_t size) { counted_ = size & kMostCounted; }
  void recharge();
  absl::Status budget_error(std::size_t used, std::size_t own) const;
  bool has_output() const { return queued_bytes() != 0; }  // bytes in mail included
  SendResult over_cap(std::size_t queued);

  // stream_pieces.cc
  SendResult send_pieces_here(std::span<const ByteView> pieces, std::size_t size);
  void put_sent(std::span<const ByteView> pieces, std::size_t size);
  void put_pieces(std::span<const ByteView> pieces, std::size_t size);
  void write_pieces(std::span<const ByteView> pieces);
  SysResult send_gathered(std::span<const std::byte> first, std::span<const ByteView> pieces,
                          std::size_t begun);

  // stream_bytes.cc
  SendResult send_shared_here(std::span<const Bytes> pieces, std::size_t size);
  SendResult send_shared_from_elsewhere(std::span<const Bytes> pieces, std::size_t size);
  void put_sent(std::span<const Bytes> pieces);
  void put_shared(std::span<const Bytes> pieces);
  void share(const Bytes& bytes);

  // stream_file.cc
  static absl::Status check_part(const File& file, std::uint64_t offset, std::uint64_t length,
                                 std::string_view method);
  SendResult send_part(FilePart part);
  void put_file(FilePart part);
  void put_sent(FilePart part);
  bool has_files() const;
  std::size_t write_file(const FilePart& part, std::size_t most);
  void cork(bool is_corked);
  std::size_t copy_file(const FilePart& part, std::size_t most);
  std::size_t write_pipe(const FilePart& part, std::size_t most);
  std::size_t copy_pipe(const FilePart& part, std::size_t most);
  static bool is_splice_refusal(int error);
  std::size_t file_written(const FilePart& part, std::string_view call, SysResult result,
                           std::uint32_t mark);

  // stream_descriptors.cc
  absl::Status check_descriptors(ByteView bytes, std::span<const OwnedFd> descriptors,
                                 std::string_view method) const;
  void put_descriptors(DescriptorPart part);
  void put_sent(DescriptorPart part);
  std::size_t write_descriptors(std::span<const OwnedFd> descriptors);
  SysResult receive_from_unix(std::span<std::byte> into);

  SendResult mark(std::size_t queued, std::size_t waiting);
  SendResult mark_here();
  std::size_t high_mark() const;
  std::size_t low_mark() const;
  bool tell_low_mark();

  SysResult receive(std::span<std::byte> into) {
    if (is_unix_) [[unlikely]]
      return receive_from_unix(into);
    return core_->kernel().recv(fd_.get(), into.data(), into.size(), 0);
  }
  // Whether bytes may be left behind a short read: a read ends before urgent data and before the
  // end of file (tcp(7), "Sockets API"), and of a Unix socket where descriptors were sent.
  bool may_have_more() const {
    return (hints_.load(std::memory_order_relaxed) & kMayHaveMore) != 0 ||
           (is_unix_ && unix_peer().may_have_more());
  }

  // stream_run.cc. Every message takes the path that is inline.
  [[gnu::always_inline]] void run_once();
  void abort_now();
  void deliver_mail();
  static void deliver(MailList list);
  void deliver_late_mail();
  void register_fd();
  [[gnu::always_inline]] void read();
  void discarded(std::size_t bytes);
  void tell_read_closed();
  bool hold_reading();
  bool leaves_bytes() const;
  void look_for_end();
  void take_hang_up();
  [[gnu::always_inline]] bool wants_read() const;
  bool is_of_coroutines() const;
  void rearm();
  void drain();

  // stream_arrivals.cc: what is done otherwise where the ring receives, if has_receives_.
  CompletionQueue& receives() const { return *home().receives(); }
  void begin_receives();
  void end_receives();
  void read_arrived();
  bool receive_arrived(ReadOperationBase& reader);
  Arrival look_at_socket();
  void look_for_arrived_end();
  void leave_arrived();
  void leave_view();
  void keep_arrived();
  void watch_socket();

  // stream_close.cc
  bool is_ending() const { return phase_ >= Phase::ending; }
  void begin_close(absl::Status why);
  void fail(absl::Status why);  // ends the connection at the end of this run
  void fail_call(std::string_view call, int error);
  void reset(absl::Status why);  // as fail(), and sends a reset to the peer
  void exception(absl::Status thrown);
  [[gnu::always_inline]] void settle();
  void settle_end();
  [[gnu::always_inline]] void go_on(bool is_timed);
  bool waits_for_writer() const;
  bool shut_write();
  void finish();
  const StreamTimeouts& timeouts() const {
    if (has_own_timeouts_) [[unlikely]]
      return *extra_->timeouts;
    return limits_->timeouts;
  }
  // Whether a timeout may be due one day. If not, no time needs to be noted.
  bool has_timeout() const {
    if (timeouts().idle != kNever) return true;
    return !queue_.empty() || phase_ == Phase::lingering;
  }
  void note_times();
  void check_timeouts();
  bool holds_up_peer();
  std::int64_t next_timeout() const;
  void arm_timeouts();
  void expired() override;  // TimerNode

  // stream_look.cc
  void look_inside(std::int64_t now, ConnectionInfo& info) const;
  void look_at_reading(ConnectionInfo& info) const;
  void look_at_timeouts(std::int64_t now, ConnectionInfo& info) const;

  // These members are apart from those that a run needs for each closure. Other threads write them,
  // and each post takes their cache line from the runner.
  Mailbox mailbox_;

  // The bytes in mail and in the queue. Senders and the runner add and subtract (acq_rel), any
  // thread loads (acquire). high_mark.h has the race with on_writable.
  std::atomic<std::size_t> queued_{0};

  const std::uint64_t id_;  // any thread reads the const members
  const CompactAddress local_;
  const CompactAddress peer_;

  // What every message needs is from here to on_data_, in few cache lines.
  const Ref<const StreamLimits> limits_;
  const Ref<OrderState> order_;  // null: an order of its own

  // Hints for any thread, which only go one way. Callers of close() and the runner store (release),
  // any thread loads (acquire). There is no race to lose: a call that sees the old value leaves
  // mail, which the runner drops.
  std::atomic<bool> is_open_{true};
  std::atomic<bool> can_send_{true};

  HighMark high_mark_;

  // The handles, if counts_handles_, self_ included. Relaxed; the thread that leaves one, self_,
  // closes the connection by a call that any thread may make.
  bool counts_handles_ : 1 = false;  // all are constant since before the first handle
  bool is_of_task_ : 1 = false;
  bool is_unix_ : 1 = false;       // otherwise TCP
  bool has_receives_ : 1 = false;  // the ring of home() receives, see CompletionQueue
  std::atomic<std::uint32_t> handles_{0};

  // Requests. The poll thread (both) and callers without memory (abort_due_) store (release) and
  // then wake the Stream, whose run loads or exchanges (acquire). A request during a run causes
  // another run (DispatchWord).
  std::atomic<bool> timeout_expired_{false};
  std::atomic<std::uint8_t> abort_due_{0};  // kShutDown, kNoMemory

  std::atomic<bool> has_ended_{false};  // no mail is delivered any more; a hint, as is_open_

  // Whether a due timeout waits for a second expiry, see expired(). The runner stores, expired() on
  // the poll thread loads, both relaxed: the lock of the timer queue orders them.
  std::atomic<bool> is_suspect_{false};

  // The runner only. The small members are first, next to those above. Members that few connections
  // use are pointers, because most of many connections are idle.
  Phase phase_ = Phase::open;
  bool is_registered_ : 1 = false;
  bool is_in_queue_already_ : 1 = false;  // the event queue has the descriptor, see start();
                                          // with has_receives_ see watch_socket()
  bool is_paused_ : 1 = false;            // by pause_reading()
  bool is_held_ : 1 = false;              // reading waits until the queue is at its low mark
  bool closes_after_read_ : 1 = false;    // a drain: what has arrived is read first
  bool is_drained_ : 1 = false;           // drain() was called
  bool read_closed_ : 1 = false;          // recv() returned 0
  bool write_shut_asked_ : 1 = false;
  bool write_shut_ : 1 = false;
  bool wants_reset_ : 1 = false;
  bool was_told_closed_ : 1 = false;
  bool is_write_blocked_ : 1 = false;  // waits for an edge for writing
  bool is_corked_ : 1 = false;         // TCP_CORK is set
  bool has_tasks_ : 1 = false;         // coroutines serve it, or wait for its end
  bool is_of_closed_ : 1 = false;      // at first by closed(), which callbacks go with
  bool is_read_by_task_ : 1 = false;   // a coroutine has read, so on_data is refused
  static constexpr std::uint8_t kReceived = 1;
  static constexpr std::uint8_t kSent = 2;
  static constexpr std::uint8_t kQueued = 4;  // into a queue that was empty
  std::uint8_t moved_ : 3 = kReceived;        // what moved in this run; the first run counts
  std::uint8_t armed_directions_ : 3 = 0;     // engines without edges: the last interest
  bool is_draining_ : 1 = false;              // a read that has no byte and finds none ends
  bool has_own_timeouts_ : 1 = false;         // in extra_; otherwise those of limits_
  Call* call_ = nullptr;                      // not null while a callback runs
  const Ref<Core> core_;
  Connection self_;  // the argument of callbacks; a reference to itself from start() to finish()
  OwnedFd fd_;
  WriteQueue queue_;
  // A coroutine that waits for bytes. Relaxed: the runner stores and loads it, and a leader loads
  // the address alone, see fetch_parts().
  std::atomic<ReadOperationBase*> reader_{nullptr};
  std::unique_ptr<Inflow> inflow_;      // null: there are no bytes
  std::unique_ptr<StreamExtra> extra_;  // null: there is nothing in it
  std::int64_t last_activity_ = 0;      // the end of the last run in which bytes moved
  Connection::DataCallback on_data_;

  // What few messages need.
  std::int8_t receives_left_ = 0;  // of this run, for coroutines

  // Whether a read has got bytes, and its coroutine has not taken them yet: it is in another order,
  // or in line behind others. Meanwhile it is the reader still. No other read begins, and the bytes
  // stay where they are.
  //
  //   the order of the connection            the order of the coroutine
  //   (1) satisfy(): true
  //       completes the coroutine  ------->  (2) take(): false, or
  //   (4) begin_read(): is it false?             nobody takes the bytes: give_back(), by mail
  //   (3) the mail: the bytes are back; false
  //
  // (1) is relaxed, as the completion publishes it. (2) is a release, for the acquire of (4): a
  // later read may then drop the bytes that were taken. (3) is in the order, before any read that
  // began later, because has_turn() lets none overtake the mail.
  std::atomic<bool> has_untaken_{false};
  std::atomic<std::uint8_t> ends_told_{0};  // the reads that were empty at the end, see told_end()

  // The poll thread only: when the first expiry came, mod 2^8. One that looks too new comes again.
  std::uint8_t suspect_sweep_ = 0;
  std::uint32_t lingered_bytes_ = 0;
  std::int64_t waiting_since_ = 0;  // when the wait for the peer to read, or to end, began
  std::int64_t armed_timeout_ = kNever;
  // One word, because each connection has it. What queued_ includes of queue_, tasks()->sent and
  // the gathered output, in bytes, and what the QueueBudget includes of the queues, in its blocks.
  std::uint64_t counted_ : 44 = 0;
  std::uint64_t charged_ : 20 = 0;
  absl::Status end_;  // the reason for on_closed

  TimerList timers_;  // guarded by home().timer_lists()
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_H_
