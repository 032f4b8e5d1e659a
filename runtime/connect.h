#ifndef EPORE_RUNTIME_CONNECT_H_
#define EPORE_RUNTIME_CONNECT_H_

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connect_attempt.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/options.h"

namespace epore {

static_assert(std::is_trivially_destructible_v<ConnectionOptions>,
              "gcc 12 destroys a braced temporary in a co_await expression twice");

namespace internal {

class ConnectOperation final : public Operation, public WithResult<ConnectOperation> {
 public:
  using Value = Connection;

  ConnectOperation(std::string_view address, ConnectOptions options)
      : to_(std::string(address)), options_(std::move(options)) {}
  ConnectOperation(std::span<const SocketAddress> addresses, ConnectOptions options)
      : to_(std::vector<SocketAddress>(addresses.begin(), addresses.end())),
        options_(std::move(options)) {}
  ConnectOperation(ConnectOperation&& other) noexcept
      : Operation(std::move(other)),
        to_(std::move(other.to_)),
        options_(std::move(other.options_)) {}

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  Connection take() { return std::move(connection_); }

 private:
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "connect"; }
  void connected(absl::StatusOr<Connection> result);

  std::variant<std::string, std::vector<SocketAddress>> to_;
  ConnectOptions options_;
  ConnectAttempt attempt_;
  absl::Status stop_;  // not ok once it was cancelled
  Connection connection_;
};

}  // namespace internal

// Connects to "HOST:PORT", in a task, as Runtime::connect() does. The connection is in the order of
// the task, and is closed gracefully when its last handle is gone.
//
//   epore::Connection origin =
//       co_await epore::within(absl::Seconds(2), epore::connect("127.0.0.1:8080"));
//
// Errors: those of Runtime::connect(); Cancelled when the task is stopped, and once the runtime
// shuts down.
[[nodiscard]] inline internal::ConnectOperation connect(std::string_view address,
                                                        const ConnectionOptions& options = {}) {
  ConnectOptions all;
  all.connection = options;
  return {address, std::move(all)};
}

// As above. ConnectOptions::order is not used. (A template, so that braces mean ConnectionOptions.)
template <std::same_as<ConnectOptions> Options>
[[nodiscard]] internal::ConnectOperation connect(std::string_view address, const Options& options) {
  return {address, options};
}

// Connects to the first of several addresses that answers, in a task: those that resolve() or a
// NameResolver has found, or that the program knows. They race as those of a name do, and are
// copied in this call. Errors: those of Runtime::connect(); Cancelled, as above.
[[nodiscard]] inline internal::ConnectOperation connect(std::span<const SocketAddress> addresses,
                                                        const ConnectionOptions& options = {}) {
  ConnectOptions all;
  all.connection = options;
  return {addresses, std::move(all)};
}
template <std::same_as<ConnectOptions> Options>
[[nodiscard]] internal::ConnectOperation connect(std::span<const SocketAddress> addresses,
                                                 const Options& options) {
  return {addresses, options};
}

}  // namespace epore

#endif  // EPORE_RUNTIME_CONNECT_H_
