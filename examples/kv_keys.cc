// The commands of a KvSession that are about keys.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "examples/kv_session.h"
#include "examples/resp.h"

namespace examples {
namespace {

using absl::EqualsIgnoreCase;
using std::chrono::milliseconds;

constexpr std::string_view kNoMemory = "OOM command not allowed when used memory > 'maxmemory'.";
constexpr std::string_view kNoInteger = "ERR value is not an integer or out of range";
constexpr std::string_view kTooLong = "ERR the reply would be too long";

// The most steps of a KEYS, which take some tenths of a second. A pattern like *aaaa...b needs as
// many as its length for each byte of a key.
constexpr std::size_t kMostSteps = 100'000'000;

// After so many milliseconds; none if the clock does not go so far.
std::optional<KvStore::Clock::time_point> deadline_in(std::int64_t count, std::int64_t unit) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 4'000'000;
  if (count > kMost / unit || count < -kMost / unit) return std::nullopt;
  return KvStore::Clock::now() + milliseconds(count * unit);
}

}  // namespace

void KvSession::get(Arguments a, std::string& reply) {
  const std::string* const value = store_.find(a[1]);
  value == nullptr ? add_nil(reply) : add_bulk(reply, *value);
}

// SET key value [NX | XX] [EX seconds | PX milliseconds]
void KvSession::set(Arguments a, std::string& reply) {
  std::optional<KvStore::Clock::time_point> deadline;
  bool is_new = false;
  bool is_old = false;
  for (std::size_t i = 3; i < a.size(); ++i) {
    const bool is_ex = EqualsIgnoreCase(a[i], "EX");
    if (EqualsIgnoreCase(a[i], "NX") && !is_old) {
      is_new = true;
    } else if (EqualsIgnoreCase(a[i], "XX") && !is_new) {
      is_old = true;
    } else if ((is_ex || EqualsIgnoreCase(a[i], "PX")) && !deadline && i + 1 < a.size()) {
      const std::optional<std::int64_t> count = parse_integer(a[++i]);
      if (!count) return add_error(reply, kNoInteger);
      if (*count > 0) deadline = deadline_in(*count, is_ex ? 1000 : 1);
      if (!deadline) return add_error(reply, "ERR invalid expire time in 'set' command");
    } else {
      return add_error(reply, "ERR syntax error");
    }
  }
  if ((is_new || is_old) && (store_.find(a[1]) != nullptr) != is_old) return add_nil(reply);
  if (!store_.set(a[1], a[2], deadline)) return add_error(reply, kNoMemory);
  add_simple(reply, "OK");
}

void KvSession::del(Arguments a, std::string& reply) {
  add_integer(reply, std::count_if(a.begin() + 1, a.end(),
                                   [this](std::string_view key) { return store_.erase(key); }));
}

void KvSession::exists(Arguments a, std::string& reply) {
  add_integer(reply, std::count_if(a.begin() + 1, a.end(), [this](std::string_view key) {
                return store_.find(key) != nullptr;
              }));
}

void KvSession::incr(Arguments a, std::string& reply) {
  const std::string* const value = store_.find(a[1]);
  const std::optional<std::int64_t> number = value == nullptr ? 0 : parse_integer(*value);
  if (!number) return add_error(reply, kNoInteger);
  if (*number == std::numeric_limits<std::int64_t>::max()) {
    return add_error(reply, "ERR increment or decrement would overflow");
  }
  if (!store_.replace(a[1], absl::AlphaNum(*number + 1).Piece())) {
    return add_error(reply, kNoMemory);
  }
  add_integer(reply, *number + 1);
}

void KvSession::expire(Arguments a, std::string& reply) {
  const std::optional<std::int64_t> seconds = parse_integer(a[2]);
  if (!seconds) return add_error(reply, kNoInteger);
  const auto deadline = deadline_in(*seconds, 1000);
  if (!deadline) return add_error(reply, "ERR invalid expire time in 'expire' command");
  if (*seconds <= 0) return add_integer(reply, store_.erase(a[1]));
  if (store_.find(a[1]) == nullptr) return add_integer(reply, 0);
  if (!store_.set_deadline(a[1], *deadline)) return add_error(reply, kNoMemory);
  add_integer(reply, 1);
}

// -2: there is no such key; -1: it has no deadline.
void KvSession::ttl(Arguments a, std::string& reply) {
  if (store_.find(a[1]) == nullptr) return add_integer(reply, -2);
  const auto deadline = store_.deadline(a[1]);
  if (!deadline) return add_integer(reply, -1);
  const std::int64_t left =
      std::chrono::duration_cast<milliseconds>(*deadline - KvStore::Clock::now()).count();
  add_integer(reply, a[0].size() == 3 ? (left + 500) / 1000 : left);
}

// Others may change the values between two pieces.
void KvSession::mget(Arguments a, std::string& reply) {
  add_array(reply, a.size() - 1);
  unanswered_ = a.subspan(1);
  add_values(reply);
}

void KvSession::add_values(std::string& reply) {
  for (; !unanswered_.empty() && reply.size() < kPiece; unanswered_ = unanswered_.subspan(1)) {
    const std::string* const value = store_.find(unanswered_[0]);
    value == nullptr ? add_nil(reply) : add_bulk(reply, *value);
  }
}

void KvSession::mset(Arguments a, std::string& reply) {
  if (a.size() % 2 == 0) {
    return add_error(reply, "ERR wrong number of arguments for 'mset' command");
  }
  for (std::size_t i = 1; i < a.size(); i += 2) {
    if (!store_.set(a[i], a[i + 1])) return add_error(reply, kNoMemory);
  }
  add_simple(reply, "OK");
}

void KvSession::keys(Arguments a, std::string& reply) {
  std::vector<std::string_view> found;
  std::size_t size = 0;
  std::size_t steps = kMostSteps;
  store_.for_each_key([&](std::string_view key) {
    if (size > kMaxReply || steps == 0 || !matches(a[1], key, steps)) return;
    found.push_back(key);
    size += key.size() + 32;
  });
  work_ += store_.size() + (kMostSteps - steps);
  if (steps == 0) return add_error(reply, "ERR the pattern takes too long");
  if (size > kMaxReply) return add_error(reply, kTooLong);
  const bool is_long = size > kPiece;
  if (is_long && shared_.long_replies + size > kMaxLongReplies) {
    return add_error(reply, "ERR too many long replies wait, try again");
  }
  std::string& names = is_long ? names_ : reply;
  add_array(names, found.size());
  for (const std::string_view key : found) add_bulk(names, key);
  if (!is_long) return;
  names_.shrink_to_fit();
  shared_.long_replies += names_.size();
  add_names(reply);
}

void KvSession::add_names(std::string& reply) {
  const std::string_view piece = std::string_view(names_).substr(named_, kPiece);
  reply += piece;
  named_ += piece.size();
  if (named_ == names_.size()) drop_names();
}

void KvSession::drop_names() {
  shared_.long_replies -= names_.size();
  std::string().swap(names_);
  named_ = 0;
}

void KvSession::add_more(std::string& reply) {
  names_.empty() ? add_values(reply) : add_names(reply);
}

void KvSession::dbsize(Arguments, std::string& reply) {
  add_integer(reply, static_cast<std::int64_t>(store_.size()));
}

void KvSession::flushdb(Arguments, std::string& reply) {
  store_.clear();
  add_simple(reply, "OK");
}

}  // namespace examples
