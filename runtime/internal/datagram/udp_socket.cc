#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/datagram/peer_payload.h"
#include "epore/runtime/internal/datagram/udp_state.h"
#include "epore/runtime/udp.h"

namespace epore {
namespace {

absl::Status no_socket(const char* call) {
  return absl::FailedPreconditionError(absl::StrCat(call, ": this handle names no socket"));
}

}  // namespace

absl::Status UdpOptions::check() const {
  const auto bad = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("UdpOptions: ", what));
  };
  if (max_datagram < 1 || max_datagram > 65535) return bad("max_datagram is from 1 to 65535");
  if (batch < 1 || batch > 1024) return bad("batch is from 1 to 1024");
  if (receive_buffer < 0) return bad("receive_buffer is not negative");
  if (unix_mode && *unix_mode > 0777) return bad("unix_mode is from 0 to 0777");
  return absl::OkStatus();
}

SocketAddress peer_of(const absl::Status& status) { return internal::get_peer(status); }

UdpSocket::UdpSocket() = default;
UdpSocket::UdpSocket(const UdpSocket&) = default;
UdpSocket::UdpSocket(UdpSocket&&) noexcept = default;
UdpSocket& UdpSocket::operator=(const UdpSocket&) = default;
UdpSocket& UdpSocket::operator=(UdpSocket&&) noexcept = default;
UdpSocket::~UdpSocket() = default;

UdpSocket::UdpSocket(internal::Ref<internal::UdpHandle> handle) : handle_(std::move(handle)) {}

internal::DatagramOperation UdpSocket::receive() const {
  return internal::DatagramOperation(
      handle_ ? internal::Ref<internal::UdpState>::share(&handle_->state())
              : internal::Ref<internal::UdpState>());
}

absl::Status UdpSocket::send(ByteView bytes, const SocketAddress& to,
                             const SocketAddress& from) const {
  if (!handle_) return no_socket("UdpSocket::send");
  return handle_->state().send(bytes, to, from, 0);
}

absl::Status UdpSocket::send(ByteView bytes) const { return send(bytes, SocketAddress()); }

absl::Status UdpSocket::send_segments(ByteView bytes, std::size_t segment,
                                      const SocketAddress& to) const {
  if (!handle_) return no_socket("UdpSocket::send_segments");
  if (segment == 0 || segment > 65507) {
    return absl::InvalidArgumentError("UdpSocket::send_segments: a segment has 1 to 65507 bytes");
  }
  return handle_->state().send(bytes, to, SocketAddress(), segment);
}

absl::Status UdpSocket::join(const SocketAddress& group, unsigned interface) const {
  return handle_ ? handle_->state().change_group(group, interface, /*joins=*/true)
                 : no_socket("UdpSocket::join");
}

absl::Status UdpSocket::leave(const SocketAddress& group, unsigned interface) const {
  return handle_ ? handle_->state().change_group(group, interface, /*joins=*/false)
                 : no_socket("UdpSocket::leave");
}

void UdpSocket::close() const {
  if (handle_) handle_->state().close();
}

SocketAddress UdpSocket::address() const {
  return handle_ ? handle_->state().address() : SocketAddress();
}

UdpCounters UdpSocket::counters() const {
  return handle_ ? handle_->state().counters() : UdpCounters();
}

namespace internal {

DatagramOperation::DatagramOperation(Ref<UdpState> state) : state_(std::move(state)) {}
DatagramOperation::DatagramOperation(DatagramOperation&& other) noexcept
    : ListedOperation(std::move(other)), state_(std::move(other.state_)) {}
DatagramOperation::~DatagramOperation() = default;

bool DatagramOperation::begin(TaskNode& node) {
  if (state_) return state_->begin(*this, node);
  node.status = make_error(absl::StatusCode::kFailedPrecondition,
                           "UdpSocket::receive: this handle names no socket");
  return true;
}

void DatagramOperation::cancel(const absl::Status& why) { state_->cancel(*this, why); }

std::span<const Datagram> DatagramOperation::take() { return state_->take(); }

}  // namespace internal
}  // namespace epore
