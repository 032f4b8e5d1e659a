#include "epore/runtime/options.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/engine/selector_factory.h"
#include "epore/runtime/address.h"
#include "epore/runtime/internal/base/check_range.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore {
namespace {

using internal::check_mode;
using internal::check_range;
using internal::first_error;

// Far more threads than any machine has cores, and far fewer than it takes to bring one down.
constexpr int kMaxThreads = 1024;

absl::Status check_timeout(std::string_view name, absl::Duration value) {
  if (value >= absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", absl::FormatDuration(value), ", must not be negative"));
}

absl::Status check_positive(std::string_view name, absl::Duration value) {
  if (value > absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", absl::FormatDuration(value), ", must be more than zero"));
}

// A thread waits in one event queue at a time.
absl::Status check_reactors(int reactors, Dispatch dispatch) {
  if (dispatch != Dispatch::caller || reactors == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("RuntimeOptions::reactors is ", reactors, ", must be 1 with Dispatch::caller"));
}

// RFC 8305, 8: a shorter delay MUST NOT be used, as it would flood the network.
absl::Status check_attempt_delay(absl::Duration value) {
  if (value >= absl::Milliseconds(10)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("ConnectOptions::connection_attempt_delay is ",
                                                 absl::FormatDuration(value),
                                                 ", must be at least 10ms"));
}

absl::Status check_hosts(const std::map<std::string, std::vector<std::string>>& hosts) {
  const auto bad = [](std::string_view name, std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("RuntimeOptions::hosts: \"", internal::printable(name), "\": ", why));
  };
  for (const auto& [name, addresses] : hosts) {
    const absl::StatusOr<HostPort> parsed = HostPort::parse(absl::StrCat(name, ":0"));
    if (!parsed.ok()) return bad(name, parsed.status().message());
    const bool is_number = SocketAddress::parse(absl::StrCat(name, ":0")).ok();
    if (is_number || name.empty() || name == "*") return bad(name, "not a name");
    for (const std::string& text : addresses) {
      const absl::StatusOr<SocketAddress> address = SocketAddress::parse(text);
      if (!address.ok()) return bad(name, address.status().message());
      if (address->is_unix()) return bad(name, "a name has no Unix socket");
    }
  }
  return absl::OkStatus();
}

// The system's own limits, see tcp(7) and MAX_TCP_KEEPIDLE of Linux.
absl::Status check_keep_alive(const ConnectionOptions& options) {
  constexpr absl::Duration kMost = absl::Seconds(32767);
  for (const auto& [name, value] :
       {std::pair("keep_alive_idle", options.keep_alive_idle),
        std::pair("keep_alive_interval", options.keep_alive_interval)}) {
    if (value < absl::ZeroDuration() || value > kMost) {
      return absl::InvalidArgumentError(
          absl::StrCat("ConnectionOptions::", name, " is ", absl::FormatDuration(value),
                       ", must be from 0 to ", absl::FormatDuration(kMost)));
    }
  }
  if (options.keep_alive != false || !options.has_keep_alive_times()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "ConnectionOptions::keep_alive is false, so keep_alive_idle, keep_alive_interval and "
      "keep_alive_probes would do nothing");
}

absl::Status check_user_timeout(absl::Duration value) {
  constexpr absl::Duration kMost = absl::Milliseconds(std::numeric_limits<std::int32_t>::max());
  if (value > absl::ZeroDuration() && (value <= kMost || value == absl::InfiniteDuration())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "ConnectionOptions::user_timeout is ", absl::FormatDuration(value),
      ", must be more than zero, and at most ", absl::FormatDuration(kMost), " or infinite"));
}

absl::Status check_dispatch(Dispatch dispatch) {
  if (parse_dispatch(dispatch_name(dispatch)).has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("RuntimeOptions::dispatch is ",
                                                 static_cast<int>(dispatch),
                                                 ", which is none of the enum Dispatch"));
}

absl::Status check_thread_name(std::string_view name) {
  if (!name.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("RuntimeOptions::thread_name is empty");
}

}  // namespace

std::optional<Dispatch> parse_dispatch(std::string_view name) {
  for (Dispatch dispatch :
       {Dispatch::adaptive, Dispatch::workers, Dispatch::poll_thread, Dispatch::caller}) {
    if (name == dispatch_name(dispatch)) return dispatch;
  }
  return std::nullopt;
}

std::string_view dispatch_name(Dispatch dispatch) {
  switch (dispatch) {
    case Dispatch::adaptive:
      return "adaptive";
    case Dispatch::workers:
      return "workers";
    case Dispatch::poll_thread:
      return "poll_thread";
    case Dispatch::caller:
      return "caller";
  }
  return "unknown";
}

absl::Status RuntimeOptions::check() const {
  return first_error(
      check_range("RuntimeOptions::reactors", reactors, 1, kMaxThreads), check_dispatch(dispatch),
      check_reactors(reactors, dispatch), check_thread_name(thread_name),
      check_range("RuntimeOptions::workers", workers, 0, kMaxThreads),
      check_range("RuntimeOptions::spare_workers", spare_workers, 0, kMaxThreads),
      check_range("RuntimeOptions::events_per_poll", events_per_poll, 1, 1 << 20),
      check_timeout("RuntimeOptions::drain_timeout", drain_timeout),
      check_timeout("RuntimeOptions::blocked_callback_warning", blocked_callback_warning),
      check_hosts(hosts), internal::check_selector(selector, "RuntimeOptions::selector"));
}

bool ConnectionOptions::has_keep_alive_times() const {
  return keep_alive_idle != absl::ZeroDuration() || keep_alive_interval != absl::ZeroDuration() ||
         keep_alive_probes != 0;
}

absl::Status ConnectionOptions::check() const {
  absl::Status times =
      first_error(check_positive("ConnectionOptions::idle_timeout", idle_timeout),
                  check_positive("ConnectionOptions::write_stall_timeout", write_stall_timeout),
                  check_timeout("ConnectionOptions::linger_timeout", linger_timeout));
  if (!times.ok()) return times;
  constexpr int kMostBytes = std::numeric_limits<int>::max();
  absl::Status socket = first_error(
      check_keep_alive(*this),
      check_range("ConnectionOptions::keep_alive_probes", keep_alive_probes, 0, 127),
      check_user_timeout(user_timeout),
      check_range("ConnectionOptions::send_buffer", send_buffer, 0, kMostBytes),
      check_range("ConnectionOptions::receive_buffer", receive_buffer, 0, kMostBytes),
      check_range("ConnectionOptions::traffic_class", traffic_class.value_or(0), 0, 255));
  if (!socket.ok()) return socket;
  absl::Status descriptors =
      check_range("ConnectionOptions::max_descriptors", max_descriptors, 0, 1 << 16);
  if (!descriptors.ok()) return descriptors;
  if (write_low_mark <= write_high_mark && write_high_mark <= write_cap) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ConnectionOptions: write_low_mark (", write_low_mark, ") <= write_high_mark (",
                   write_high_mark, ") <= write_cap (", write_cap, ") does not hold"));
}

absl::Status ListenOptions::check() const {
  return first_error(check_range("ListenOptions::backlog", backlog, 1, 1 << 30),
                     check_range("ListenOptions::accept_budget", accept_budget, 1, 1 << 20),
                     check_mode("ListenOptions::unix_mode", unix_mode.value_or(0)),
                     connection.check());
}

absl::Status ConnectOptions::check() const {
  return first_error(check_positive("ConnectOptions::timeout", timeout),
                     check_attempt_delay(connection_attempt_delay),
                     check_range("ConnectOptions::max_addresses", max_addresses, 1, 1000),
                     local.is_unix() ? absl::InvalidArgumentError(absl::StrCat(
                                           "ConnectOptions::local is ", local.to_string(),
                                           ", must be an address of IPv4 or IPv6"))
                                     : absl::OkStatus(),
                     connection.check());
}

}  // namespace epore
