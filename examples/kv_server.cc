// A store of keys and values that Redis clients talk to.
//
// One thread does everything, so nothing needs a lock. A command takes less than handing it to
// another thread would: a batch of a pipeline has keys of every shard.
//
// A client that says nothing stays for ever, as with Redis, unless --idle-timeout ends it.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/kv_session.h"
#include "examples/resp.h"
#include "examples/server_flags.h"

ABSL_FLAG(std::size_t, max_memory, 1 << 30, "bytes of keys and values");
ABSL_FLAG(std::size_t, max_request, 1 << 20, "bytes of a request");
ABSL_FLAG(std::size_t, max_clients, 10'000, "clients at a time");
ABSL_FLAG(absl::Duration, idle_timeout, absl::InfiniteDuration(), "without a byte in or out");

namespace {

constexpr std::string_view kHelp = R"(kv_server [flags]

A key-value store in memory that speaks the protocol of Redis. Listens on 127.0.0.1:6379 by default.
It runs on one thread, whatever --dispatch, --reactors and --workers say.

  --max-memory=BYTES   of keys and values; a SET that needs more is refused; default 1 GiB
  --max-request=BYTES  of a request; who sends more is cut off; default 1 MiB
  --max-clients=N      at a time; more wait until one leaves; default 10,000
  --idle-timeout=1h    ends a client, a subscriber too, after so long without a byte in or out;
                       default: never

A long reply leaves in pieces of 64 KiB, or of one value, as the client takes them. Between two
pieces of an MGET others may change values. The names of a KEYS are at most 16 MiB, and those that
wait for all clients together 64 MiB; beyond that it gets an error.

A KEYS takes at most 100,000,000 steps, about one for each byte of the keys that its pattern looks
at, and gets an error beyond.

A subscriber that does not read is cut off when 1 MiB and the size of a request wait for it. What
waits for all clients together is at most 1 GiB. A message for more than four subscribers is there
once, and does not count for that.
)";

constexpr std::size_t kReplyBatch = 64 * 1024;
constexpr std::size_t kWorkBatch = 10'000;  // then others get their turn
constexpr std::size_t kMaxUnread = 1 << 20;
constexpr std::size_t kFirstPiece = 16 * 1024;
constexpr std::size_t kLittleQueued = 64 * 1024;
constexpr absl::Duration kLookAgain = absl::Milliseconds(50);
constexpr absl::Duration kRequestTimeout = absl::Seconds(60);  // between two pieces of a request

// Waits until little is queued. A flush() alone would wait until nothing is, and that does not come
// while others publish steadily.
epore::Task<> drain(epore::Connection peer) {
  do {
    const absl::Status status = co_await epore::within(kLookAgain, peer.flush()).result();
    if (!absl::IsDeadlineExceeded(status)) {
      co_await status;  // it is empty, or the connection has ended
      co_return;
    }
  } while (peer.is_open() && peer.queued_bytes() > kLittleQueued);
}

std::size_t between(std::size_t least, std::size_t most, const absl::Flag<std::size_t>& flag,
                    std::string_view name) {
  const std::size_t value = absl::GetFlag(flag);
  if (least <= value && value <= most) return value;
  examples::usage_error(absl::StrCat("--", name, "=", value, ": ", least, " to ", most));
}

epore::Task<> serve(epore::Connection peer, examples::KvShared& shared) {
  using State = examples::RespParser::State;
  examples::KvSession session(peer, shared);
  examples::RespParser parser(absl::GetFlag(FLAGS_max_request));
  std::string replies;
  absl::StatusOr<epore::ByteView> bytes;
  std::size_t asked = 1;
  while (true) {
    // No more than that: bytes that are only announced take no memory.
    if (asked == 1) {
      bytes = co_await peer.peek().result();
    } else {
      bytes = co_await epore::within(kRequestTimeout, peer.peek(asked)).result();
    }
    if (!bytes.ok() || bytes->size() < asked) co_return;  // gone, draining, or stalled

    std::string_view rest = bytes->text();
    State state;
    do {
      std::size_t work = 0;
      while ((state = parser.parse(rest)) == State::complete) {
        if (!parser.arguments().empty()) work += session.run(parser.arguments(), replies);
        while (session.has_more()) {
          co_await peer.write(replies);  // as below
          replies.clear();
          co_await epore::yield();
          session.add_more(replies);
        }
        rest.remove_prefix(parser.size());
        if (session.has_quit() || replies.size() >= kReplyBatch || work >= kWorkBatch) break;
      }
      if (state == State::bad) {
        examples::add_error(replies, absl::StrCat("ERR Protocol error: ", parser.error()));
      }
      if (session.is_subscriber()) {
        // What others publish to it comes behind, also while this waits.
        if (peer.send(replies) == epore::SendResult::high) co_await drain(peer);
      } else {
        co_await peer.write(replies);  // a client that does not read is held up here
      }
      replies.clear();
      if (replies.capacity() > 2 * kReplyBatch) std::string().swap(replies);
      if (work >= kWorkBatch) co_await epore::yield();
    } while (state == State::complete && !session.has_quit());
    if (state != State::incomplete) co_return;
    asked = std::min(parser.wanted(), std::max(2 * rest.size(), kFirstPiece));
    peer.consume(bytes->size() - rest.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (!flags.arguments.empty()) {
    examples::usage_error(absl::StrCat("unexpected argument: ", flags.arguments[0]));
  }
  flags.options.dispatch = epore::Dispatch::poll_thread;
  flags.options.reactors = 1;
  const std::size_t max_request = between(64, 512 << 20, FLAGS_max_request, "max-request");
  flags.options.max_connections = between(1, 1 << 30, FLAGS_max_clients, "max-clients");
  const absl::Duration idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  if (idle_timeout <= absl::ZeroDuration()) {
    examples::usage_error("--idle-timeout: more than zero");
  }
  // Before the runtime, so that it outlives the handlers.
  // A subscriber's own reply of about a request is no reason to cut it off.
  examples::KvShared shared{.store = examples::KvStore(absl::GetFlag(FLAGS_max_memory)),
                            .max_unread = kMaxUnread + max_request};
  epore::Runtime runtime(flags.options);
  shared.store.set_timer(runtime.timer([&shared] { shared.store.remove_due(); }));

  epore::ListenOptions options;
  options.connection.idle_timeout = idle_timeout;
  // What a subscriber may leave unread, a message behind it, and a reply of its own.
  options.connection.write_cap = shared.max_unread + 2 * max_request + kMaxUnread;
  const absl::StatusOr<epore::Listener> listener = runtime.listen(
      flags.address.empty() ? "127.0.0.1:6379" : flags.address,
      [&shared](epore::Connection peer) { return serve(peer, shared); }, options);
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
