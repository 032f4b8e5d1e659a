#include "epore/runtime/tls/tls_connection.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/tls/tls_engine.h"
#include "epore/runtime/tls/tls_setup.h"
#include "epore/runtime/tls/tls_stream.h"
#include "epore/runtime/within.h"

namespace epore {
namespace {

using Stream = std::shared_ptr<internal::TlsStream>;

absl::Status names_none(std::string_view call) {
  return absl::FailedPreconditionError(
      absl::StrCat("TlsConnection::", call, ": this names no connection"));
}

// The same error, behind `prefix`.
absl::Status with_prefix(std::string_view prefix, const absl::Status& status) {
  absl::Status result(status.code(), absl::StrCat(prefix, status.message()));
  status.ForEachPayload([&result](std::string_view type, const absl::Cord& payload) {
    result.SetPayload(type, payload);
  });
  return result;
}

absl::StatusOr<Stream> make_stream(const internal::TlsSetup* setup, const Connection& peer,
                                   std::string name, bool is_server) {
  if (setup == nullptr) return absl::FailedPreconditionError("the context was moved from");
  if (setup->is_server != is_server) {
    return absl::FailedPreconditionError(is_server ? "the context is that of a client"
                                                   : "the context is that of a server");
  }
  if (peer.id() == 0) return absl::FailedPreconditionError("the handle names no connection");
  if (!internal::TlsStream::is_in_order(peer)) {
    return absl::FailedPreconditionError("not in the order of the connection; see epore::on()");
  }
  absl::StatusOr<std::unique_ptr<internal::TlsEngine>> engine =
      setup->engines->make(std::move(name));
  if (!engine.ok()) return engine.status();
  return std::make_shared<internal::TlsStream>(*std::move(engine), peer);
}

Task<ByteView> no_read() { co_return names_none("read"); }
Task<> no_call(std::string_view call) { co_await names_none(call); }

}  // namespace

// A connection before its handshake has ended: the destructor resets it, unless it was released.
// So it does not stay open where there is no memory, not even for the frame of open().
class TlsConnection::Unsecured {
 public:
  explicit Unsecured(Connection peer) : peer_(std::move(peer)) {}
  Unsecured(Unsecured&&) noexcept = default;
  ~Unsecured() { peer_.abort(); }  // does nothing for one that was released

  const Connection& get() const { return peer_; }
  Connection release() { return std::exchange(peer_, Connection()); }

 private:
  Connection peer_;
};

Task<TlsConnection> TlsConnection::open(TlsContext context, Unsecured peer, std::string name,
                                        bool is_server) {
  const internal::TlsSetup* const setup = context.setup_.get();
  const absl::StatusOr<Stream> stream = make_stream(setup, peer.get(), std::move(name), is_server);
  absl::Status status = stream.status();
  if (stream.ok()) {
    status = co_await within(setup->handshake_timeout,
                             internal::TlsStream::handshake(*stream, setup->handshake_lane))
                 .result();
  }
  if (!status.ok()) {
    status = with_prefix(absl::StrCat("TlsConnection::", is_server ? "accept" : "connect", "(",
                                      peer.get().peer_address().to_string(), "): "),
                         status);
    Connection failed = peer.release();
    if (stream.ok() && (*stream)->has_failed()) {
      failed.close(status);  // behind the alert
    } else {
      failed.abort(status);
    }
    co_await status;
  }
  (void)peer.release();
  co_return TlsConnection(*stream);
}

Task<TlsConnection> TlsConnection::accept(TlsContext context, Connection peer) {
  return open(std::move(context), Unsecured(std::move(peer)), std::string(), true);
}

Task<TlsConnection> TlsConnection::connect(TlsContext context, Connection peer, std::string name) {
  return open(std::move(context), Unsecured(std::move(peer)), std::move(name), false);
}

Task<ByteView> TlsConnection::read() const {
  return stream_ != nullptr ? internal::TlsStream::read(stream_) : no_read();
}

Task<> TlsConnection::write(ByteView bytes) const {
  return stream_ != nullptr ? internal::TlsStream::write(stream_, bytes) : no_call("write");
}

Task<> TlsConnection::shut_down_write() const {
  return stream_ != nullptr ? internal::TlsStream::shut_down_write(stream_)
                            : no_call("shut_down_write");
}

void TlsConnection::close() const {
  if (stream_ != nullptr) internal::TlsStream::close(stream_);
}

Connection TlsConnection::connection() const {
  return stream_ != nullptr ? stream_->connection() : Connection();
}

std::string TlsConnection::alpn() const {
  const internal::TlsEngine* const engine = stream_ != nullptr ? stream_->engine() : nullptr;
  return engine != nullptr ? engine->alpn() : std::string();
}

std::string TlsConnection::version() const {
  const internal::TlsEngine* const engine = stream_ != nullptr ? stream_->engine() : nullptr;
  return engine != nullptr ? engine->version() : std::string();
}

std::string TlsConnection::server_name() const {
  const internal::TlsEngine* const engine = stream_ != nullptr ? stream_->engine() : nullptr;
  return engine != nullptr ? engine->server_name() : std::string();
}

std::string TlsConnection::peer_subject() const {
  const internal::TlsEngine* const engine = stream_ != nullptr ? stream_->engine() : nullptr;
  return engine != nullptr ? engine->peer_subject() : std::string();
}

}  // namespace epore
