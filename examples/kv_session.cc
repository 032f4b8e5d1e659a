#include "examples/kv_session.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/send_result.h"
#include "examples/resp.h"

namespace examples {
namespace {

using absl::EqualsIgnoreCase;

constexpr std::size_t kMaxSubscriptions = 1024;  // of a client
constexpr std::size_t kMaxName = 256;
constexpr std::string_view kTooMany = "ERR too many subscriptions, or a name is too long";
constexpr std::size_t kFew = 4;  // get a copy of a message each

// What a peer sent, in an error: a line, and not long.
std::string quoted(std::string_view text) {
  std::string line(text.substr(0, 128));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return absl::StrCat("'", line, "'");
}

}  // namespace

const absl::flat_hash_map<std::string_view, KvSession::Command>& KvSession::commands() {
  using S = KvSession;
  static const auto* const commands = new absl::flat_hash_map<std::string_view, Command>({
      {"PING", {&S::ping, -1, true}},
      {"ECHO", {&S::echo, 2}},
      {"GET", {&S::get, 2}},
      {"SET", {&S::set, -3}},
      {"DEL", {&S::del, -2}},
      {"EXISTS", {&S::exists, -2}},
      {"INCR", {&S::incr, 2}},
      {"EXPIRE", {&S::expire, 3}},
      {"TTL", {&S::ttl, 2}},
      {"PTTL", {&S::ttl, 2}},
      {"MGET", {&S::mget, -2}},
      {"MSET", {&S::mset, -3}},
      {"KEYS", {&S::keys, 2}},
      {"DBSIZE", {&S::dbsize, 1}},
      {"FLUSHDB", {&S::flushdb, -1}},
      {"SUBSCRIBE", {&S::subscribe, -2, true}},
      {"UNSUBSCRIBE", {&S::unsubscribe, -1, true}},
      {"PUBLISH", {&S::publish, 3}},
      {"INFO", {&S::info, -1}},
      {"COMMAND", {&S::command, -1}},
      {"CLIENT", {&S::client, -2}},
      {"CONFIG", {&S::config, -2}},
      {"SELECT", {&S::select, 2}},
      {"QUIT", {&S::quit, -1, true}},
      {"POST", {&S::hang_up, -1, true}},
      {"HOST:", {&S::hang_up, -1, true}},
  });
  return *commands;
}

const KvSession::Command* KvSession::find_command(std::string_view name) {
  char upper[16];
  if (name.size() > sizeof upper) return nullptr;
  std::transform(name.begin(), name.end(), upper,
                 [](char c) { return absl::ascii_toupper(static_cast<unsigned char>(c)); });
  static const auto& all = commands();
  const auto found = all.find(std::string_view(upper, name.size()));
  return found == all.end() ? nullptr : &found->second;
}

KvSession::KvSession(epore::Connection peer, KvShared& shared)
    : peer_(std::move(peer)), shared_(shared), store_(shared.store) {
  ++shared_.clients;
}

KvSession::~KvSession() {
  drop_names();
  --shared_.clients;
  for (const std::string& channel : subscriptions_) leave(channel);
}

std::size_t KvSession::run(Arguments arguments, std::string& reply) {
  work_ = arguments.size();
  const Command* const command = find_command(arguments[0]);
  const auto size = static_cast<int>(arguments.size());
  if (command == nullptr) {
    std::string all =
        absl::StrCat("ERR unknown command ", quoted(arguments[0]), ", with args beginning with: ");
    for (const std::string_view argument : arguments.subspan(1)) {
      if (all.size() > 256) break;
      absl::StrAppend(&all, quoted(argument), " ");
    }
    add_error(reply, all);
  } else if (command->arguments < 0 ? size < -command->arguments : size != command->arguments) {
    add_error(reply, absl::StrCat("ERR wrong number of arguments for '",
                                  absl::AsciiStrToLower(arguments[0]), "' command"));
  } else if (is_subscriber() && !command->is_for_subscribers) {
    add_error(reply, absl::StrCat("ERR Can't execute '", absl::AsciiStrToLower(arguments[0]),
                                  "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
                                  "are allowed in this context"));
  } else {
    (this->*command->run)(arguments, reply);
  }
  return work_;
}

void KvSession::ping(Arguments a, std::string& reply) {
  if (a.size() > 2) {
    add_error(reply, "ERR wrong number of arguments for 'ping' command");
  } else if (is_subscriber()) {
    add_array(reply, 2);
    add_bulk(reply, "pong");
    add_bulk(reply, a.size() == 2 ? a[1] : "");
  } else if (a.size() == 2) {
    add_bulk(reply, a[1]);
  } else {
    add_simple(reply, "PONG");
  }
}

void KvSession::echo(Arguments a, std::string& reply) { add_bulk(reply, a[1]); }

void KvSession::subscribe(Arguments a, std::string& reply) {
  if (a.size() > 1 + kMaxSubscriptions) return add_error(reply, kTooMany);
  for (const std::string_view channel : a.subspan(1)) {
    if (!subscriptions_.contains(channel)) {
      if (subscriptions_.size() == kMaxSubscriptions || channel.size() > kMaxName) {
        return add_error(reply, kTooMany);
      }
      subscriptions_.emplace(channel);
      shared_.channels[channel].insert(peer_);
    }
    add_array(reply, 3);
    add_bulk(reply, "subscribe");
    add_bulk(reply, channel);
    add_integer(reply, static_cast<std::int64_t>(subscriptions_.size()));
  }
}

void KvSession::unsubscribe(Arguments a, std::string& reply) {
  if (a.size() > 1 + kMaxSubscriptions) return add_error(reply, kTooMany);
  std::vector<std::string> left(a.begin() + 1, a.end());
  if (left.empty()) left.assign(subscriptions_.begin(), subscriptions_.end());
  if (left.empty()) {
    reply += "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n";
  }
  for (const std::string& channel : left) {
    if (subscriptions_.erase(channel) > 0) leave(channel);
    add_array(reply, 3);
    add_bulk(reply, "unsubscribe");
    add_bulk(reply, channel);
    add_integer(reply, static_cast<std::int64_t>(subscriptions_.size()));
  }
}

void KvSession::leave(std::string_view channel) {
  const auto found = shared_.channels.find(channel);
  found->second.erase(peer_);
  if (found->second.empty()) shared_.channels.erase(found);
}

// A subscriber that does not read loses its connection. Copies count for
// RuntimeOptions::max_queued_bytes, and shared bytes do not: many channels with few subscribers
// each would take memory without a limit.
void KvSession::publish(Arguments a, std::string& reply) {
  const auto found = shared_.channels.find(a[1]);
  if (found == shared_.channels.end()) return add_integer(reply, 0);
  std::string text;
  add_array(text, 3);
  add_bulk(text, "message");
  add_bulk(text, a[1]);
  add_bulk(text, a[2]);
  const epore::Bytes message(std::move(text));  // one piece of memory for many
  const bool are_few = found->second.size() <= kFew;
  work_ += found->second.size();
  std::int64_t receivers = 0;
  for (epore::Connection subscriber : found->second) {
    if (subscriber.queued_bytes() > shared_.max_unread) {
      subscriber.abort(absl::ResourceExhaustedError("a subscriber does not read"));
      continue;
    }
    const epore::SendResult sent =
        are_few ? subscriber.send(message.text()) : subscriber.send(message);
    receivers += sent.ok() ? 1 : 0;
  }
  add_integer(reply, receivers);
}

void KvSession::info(Arguments, std::string& reply) {
  add_bulk(reply, absl::StrCat("# Server\r\nredis_version:7.0.0\r\nserver_name:epore kv_server\r\n"
                               "redis_mode:standalone\r\n\r\n# Clients\r\nconnected_clients:",
                               shared_.clients, "\r\npubsub_channels:", shared_.channels.size(),
                               "\r\n\r\n# Memory\r\nused_memory:", store_.used_bytes(),
                               "\r\n\r\n# Keyspace\r\ndb0:keys=", store_.size(), "\r\n"));
}

// Clients ask for the commands' descriptions, and do without.
void KvSession::command(Arguments a, std::string& reply) {
  if (a.size() == 2 && EqualsIgnoreCase(a[1], "COUNT")) {
    add_integer(reply, static_cast<std::int64_t>(commands().size()));
  } else {
    add_array(reply, 0);
  }
}

void KvSession::client(Arguments a, std::string& reply) {
  if (EqualsIgnoreCase(a[1], "SETNAME") && a.size() == 3 && a[2].size() <= kMaxName) {
    name_ = a[2];
    add_simple(reply, "OK");
  } else if (EqualsIgnoreCase(a[1], "GETNAME") && a.size() == 2) {
    name_.empty() ? add_nil(reply) : add_bulk(reply, name_);
  } else if (EqualsIgnoreCase(a[1], "ID") && a.size() == 2) {
    add_integer(reply, static_cast<std::int64_t>(peer_.id()));
  } else if (EqualsIgnoreCase(a[1], "SETINFO") && a.size() == 4) {
    add_simple(reply, "OK");
  } else {
    add_error(reply, "ERR unknown subcommand or wrong number of arguments of CLIENT");
  }
}

// redis-benchmark asks how the data is kept: not at all.
void KvSession::config(Arguments a, std::string& reply) {
  if (!EqualsIgnoreCase(a[1], "GET") || a.size() != 3) {
    return add_error(reply, "ERR there is only CONFIG GET");
  }
  const bool is_save = EqualsIgnoreCase(a[2], "save");
  if (!is_save && !EqualsIgnoreCase(a[2], "appendonly")) return add_array(reply, 0);
  add_array(reply, 2);
  add_bulk(reply, is_save ? "save" : "appendonly");
  add_bulk(reply, is_save ? "" : "no");
}

void KvSession::select(Arguments a, std::string& reply) {
  a[1] == "0" ? add_simple(reply, "OK") : add_error(reply, "ERR DB index is out of range");
}

void KvSession::quit(Arguments, std::string& reply) {
  has_quit_ = true;
  add_simple(reply, "OK");
}

// A web page makes the browser send a request of HTTP here, whose body is commands. They shall not
// be run. Redis does the same.
void KvSession::hang_up(Arguments, std::string&) { has_quit_ = true; }

}  // namespace examples
