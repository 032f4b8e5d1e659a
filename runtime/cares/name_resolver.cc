#include "epore/runtime/cares/name_resolver.h"

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/completion.h"

namespace epore {
namespace {

using ChannelPtr = std::shared_ptr<internal::NameChannel>;

std::uint32_t random_up_to(std::uint32_t most) {
  static thread_local std::mt19937_64 random{std::random_device()()};
  return std::uniform_int_distribution<std::uint32_t>(0, most)(random);
}

absl::Status check_channel(const ChannelPtr& channel) {
  if (channel != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError("this NameResolver was moved from");
}

// These hold the channel, as the resolver may go meanwhile.

Task<std::vector<SocketAddress>> find_addresses(ChannelPtr channel, std::string host_port) {
  co_await check_channel(channel);
  const HostPort target = co_await HostPort::parse(host_port);
  const absl::StatusOr<SocketAddress> number = SocketAddress::parse(host_port);
  if (number.ok()) {
    std::vector<SocketAddress> one(1, *number);
    co_return one;
  }
  co_await internal::check_name(target.host);
  Completion<internal::NameAnswer> found;
  channel->find_addresses(target, found.completer());
  internal::NameAnswer answer = co_await found.wait();
  co_return std::move(answer.addresses);
}

Task<std::vector<ServiceTarget>> find_services(ChannelPtr channel, std::string name) {
  co_await check_channel(channel);
  co_await internal::check_name(name);
  Completion<internal::NameAnswer> found;
  channel->find_targets(name, found.completer());
  internal::NameAnswer answer = co_await found.wait();
  std::vector<ServiceTarget>& targets = answer.targets;
  for (const ServiceTarget& target : targets) {
    const bool is_root = target.host.empty() || target.host == ".";
    if (is_root && targets.size() == 1) {  // RFC 2782, "Target"
      co_await absl::NotFoundError(absl::StrCat("resolving \"", name, "\": no such service"));
    }
    const absl::Status bad = internal::check_name(target.host);
    if (bad.ok()) continue;
    co_await absl::UnavailableError(
        absl::StrCat("resolving \"", name, "\": a bad answer: ", bad.message()));
  }
  internal::order_targets(targets, random_up_to);
  co_return std::move(targets);
}

}  // namespace

absl::Status NameResolverOptions::check() const {
  const auto bad = [](const auto&... text) {
    return absl::InvalidArgumentError(absl::StrCat("NameResolverOptions::", text...));
  };
  if (timeout < absl::Milliseconds(1) || timeout > absl::Hours(1)) {
    return bad("timeout is ", absl::FormatDuration(timeout), ", must be from 1ms to 1h");
  }
  if (tries < 1 || tries > 100) return bad("tries is ", tries, ", must be from 1 to 100");
  if (max_lookups < 1 || max_lookups > 30'000) {
    return bad("max_lookups is ", max_lookups, ", must be from 1 to 30000");
  }
  if (servers.find('\0') != servers.npos) return bad("servers has a zero byte");
  return absl::OkStatus();
}

absl::StatusOr<NameResolver> NameResolver::create(Runtime& runtime,
                                                  const NameResolverOptions& options) {
  if (absl::Status bad = options.check(); !bad.ok()) return bad;
  absl::StatusOr<ChannelPtr> channel = internal::open_cares_channel(runtime, options);
  if (!channel.ok()) return channel.status();
  return NameResolver(*std::move(channel));
}

NameResolver& NameResolver::operator=(NameResolver&& other) noexcept {
  if (channel_ != nullptr && channel_ != other.channel_) channel_->close();
  channel_ = std::move(other.channel_);
  return *this;
}

NameResolver::~NameResolver() {
  if (channel_ != nullptr) channel_->close();
}

Task<std::vector<SocketAddress>> NameResolver::addresses(std::string host_port) const {
  return find_addresses(channel_, std::move(host_port));
}

Task<std::vector<ServiceTarget>> NameResolver::services(std::string name) const {
  return find_services(channel_, std::move(name));
}

}  // namespace epore
