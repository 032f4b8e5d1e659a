#ifndef EPORE_RUNTIME_TLS_TLS_STREAM_H_
#define EPORE_RUNTIME_TLS_TLS_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/async_mutex.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/lane.h"
#include "epore/runtime/send_result.h"
#include "epore/runtime/task.h"
#include "epore/runtime/tls/tls_engine.h"

namespace epore::internal {

// What a TlsConnection names: an engine, and the connection that its records go through.
//
// Everything happens in the order of the connection. Between two awaits no other task runs there,
// so a call of the engine and the send() of what it gives are one step. That is why a stop, which
// only comes at an await, leaves no record half sent.
class TlsStream {
 public:
  TlsStream(std::unique_ptr<TlsEngine> engine, Connection connection)
      : engine_(std::move(engine)), connection_(std::move(connection)) {}
  TlsStream(const TlsStream&) = delete;

  // These are as those of TlsConnection. Each holds the stream, as handles may go meanwhile.
  static Task<> handshake(std::shared_ptr<TlsStream> self, std::optional<Lane> lane);
  static Task<ByteView> read(std::shared_ptr<TlsStream> self);
  static Task<> write(std::shared_ptr<TlsStream> self, ByteView bytes);
  static Task<> shut_down_write(std::shared_ptr<TlsStream> self);
  static void close(const std::shared_ptr<TlsStream>& self);

  const Connection& connection() const { return connection_; }

  // Whether the caller is in the order of `connection`, also when that has ended: its tasks may
  // still be there. (fd() and is_open() say nothing of it, as another thread may have closed it.)
  static bool is_in_order(const Connection& connection);

  // The engine, or null if the caller is not in the order of the connection.
  const TlsEngine* engine() const { return is_elsewhere() ? nullptr : engine_.get(); }

  // Whether the engine has failed, and has told the peer.
  bool has_failed() const { return !engine_->error().ok(); }

 private:
  bool is_elsewhere() const { return !is_in_order(connection_); }

  absl::Status error(absl::StatusCode code, std::string_view call, std::string_view text) const;
  absl::Status past_end() const;
  absl::Status check(std::string_view call) const;
  absl::Status check_write(std::string_view call) const;
  SendResult send_output();
  static Task<> receive(std::shared_ptr<TlsStream> self);
  static Task<> go_on();
  absl::Status engine_failed(std::string_view call);
  void close_in_order();

  const std::unique_ptr<TlsEngine> engine_;
  Connection connection_;

  // Of the reader.
  bool is_reading_ = false;
  bool is_at_end_ = false;              // close_notify has come
  std::uint8_t ends_told_ = 0;          // the reads that said so, at most Stream::kEndsTold
  absl::Status read_error_;             // why nothing more will be read
  std::unique_ptr<std::byte[]> bytes_;  // a record that was read; null while it waits

  // Of whoever needs bytes of the peer: the reader, and now and then a writer.
  bool is_receiving_ = false;
  int waiters_ = 0;          // for the one that receives
  AsyncEvent has_received_;  // or was stopped

  // Of writers, one at a time.
  AsyncMutex write_mutex_;
  bool is_high_ = false;        // the write queue was above its high mark
  bool is_cut_ = false;         // a write has begun, and not ended
  bool is_write_shut_ = false;  // close_notify was sent
  bool is_closed_ = false;
  std::stop_source closing_;  // stops a write that waits for room
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_TLS_TLS_STREAM_H_
