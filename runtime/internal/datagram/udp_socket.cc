#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/check_range.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/datagram/multicast_group.h"
#include "epore/runtime/internal/datagram/peer_payload.h"
#include "epore/runtime/internal/datagram/udp_state.h"
#include "epore/runtime/udp.h"

namespace epore {
namespace {

using internal::check_mode;
using internal::check_range;
using internal::first_error;
using internal::Membership;
using internal::MulticastGroup;

absl::Status no_socket(const char* call) {
  return absl::FailedPreconditionError(absl::StrCat(call, ": this handle names no socket"));
}

absl::Status no_source(const char* call) {
  return absl::InvalidArgumentError(absl::StrCat(call, ": the source is empty"));
}

internal::Ref<internal::UdpState> state_of(const internal::Ref<internal::UdpHandle>& handle) {
  if (!handle) return internal::Ref<internal::UdpState>();
  return internal::Ref<internal::UdpState>::share(&handle->state());
}

}  // namespace

absl::Status UdpOptions::check() const {
  constexpr int kMost = std::numeric_limits<int>::max();
  absl::Status sizes =
      first_error(check_range("UdpOptions::max_datagram", max_datagram, 1, 65535),
                  check_range("UdpOptions::batch", batch, 1, 1024),
                  check_range("UdpOptions::receive_buffer", receive_buffer, 0, kMost),
                  check_range("UdpOptions::send_buffer", send_buffer, 0, kMost));
  if (!sizes.ok()) return sizes;
  return first_error(check_range("UdpOptions::hops", hops, 0, 255),
                     check_range("UdpOptions::traffic_class", traffic_class.value_or(0), 0, 255),
                     check_range("UdpOptions::multicast_interface", multicast_interface, 0, kMost),
                     check_range("UdpOptions::multicast_hops", multicast_hops, 0, 255),
                     check_mode("UdpOptions::unix_mode", unix_mode.value_or(0)));
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
  return internal::DatagramOperation(state_of(handle_));
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

internal::DatagramWriteOperation UdpSocket::write(ByteView bytes, const SocketAddress& to) const {
  return internal::DatagramWriteOperation(state_of(handle_), bytes, &to, nullptr);
}

internal::DatagramWriteOperation UdpSocket::write(ByteView bytes, const SocketAddress& to,
                                                  const SocketAddress& from) const {
  return internal::DatagramWriteOperation(state_of(handle_), bytes, &to, &from);
}

internal::DatagramWriteOperation UdpSocket::write(ByteView bytes) const {
  return internal::DatagramWriteOperation(state_of(handle_), bytes, nullptr, nullptr);
}

internal::DatagramFlushOperation UdpSocket::flush() const {
  return internal::DatagramFlushOperation(state_of(handle_));
}

void UdpSocket::pause_receiving() const {
  if (handle_) handle_->state().pause_receiving();
}

void UdpSocket::resume_receiving() const {
  if (handle_) handle_->state().resume_receiving();
}

absl::Status UdpSocket::join(const SocketAddress& group, unsigned interface) const {
  constexpr const char* kCall = "UdpSocket::join";
  if (!handle_) return no_socket(kCall);
  const MulticastGroup all_sources(kCall, group, SocketAddress(), interface);
  return handle_->state().change(all_sources, Membership::join);
}

absl::Status UdpSocket::leave(const SocketAddress& group, unsigned interface) const {
  constexpr const char* kCall = "UdpSocket::leave";
  if (!handle_) return no_socket(kCall);
  const MulticastGroup all_sources(kCall, group, SocketAddress(), interface);
  return handle_->state().change(all_sources, Membership::leave);
}

absl::Status UdpSocket::join_source(const SocketAddress& group, const SocketAddress& source,
                                    unsigned interface) const {
  constexpr const char* kCall = "UdpSocket::join_source";
  if (!handle_) return no_socket(kCall);
  if (source.is_empty()) return no_source(kCall);
  const MulticastGroup one_source(kCall, group, source, interface);
  return handle_->state().change(one_source, Membership::join);
}

absl::Status UdpSocket::leave_source(const SocketAddress& group, const SocketAddress& source,
                                     unsigned interface) const {
  constexpr const char* kCall = "UdpSocket::leave_source";
  if (!handle_) return no_socket(kCall);
  if (source.is_empty()) return no_source(kCall);
  const MulticastGroup one_source(kCall, group, source, interface);
  return handle_->state().change(one_source, Membership::leave);
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
namespace {

bool ends_without_socket(TaskNode& node, const char* why) {
  node.status = make_error(absl::StatusCode::kFailedPrecondition, why);
  return true;
}

const SocketAddress& no_address() {
  static const SocketAddress empty;
  return empty;
}

}  // namespace

DatagramOperation::DatagramOperation(Ref<UdpState> state) : state_(std::move(state)) {}
DatagramOperation::DatagramOperation(DatagramOperation&& other) noexcept
    : ListedOperation(std::move(other)), state_(std::move(other.state_)) {}
DatagramOperation::~DatagramOperation() = default;

bool DatagramOperation::begin(TaskNode& node) {
  if (state_) return state_->begin(*this, node);
  return ends_without_socket(node, "UdpSocket::receive: this handle names no socket");
}

void DatagramOperation::cancel(const absl::Status& why) { state_->cancel(*this, why); }

std::span<const Datagram> DatagramOperation::take() { return state_->take(); }

DatagramWriteOperation::DatagramWriteOperation(Ref<UdpState> state, ByteView bytes,
                                               const SocketAddress* to, const SocketAddress* from)
    : state_(std::move(state)), bytes_(bytes), to_(to), from_(from) {}
DatagramWriteOperation::DatagramWriteOperation(DatagramWriteOperation&& other) noexcept = default;
DatagramWriteOperation::~DatagramWriteOperation() = default;

const SocketAddress& DatagramWriteOperation::to() const {
  return to_ != nullptr ? *to_ : no_address();
}

const SocketAddress& DatagramWriteOperation::from() const {
  return from_ != nullptr ? *from_ : no_address();
}

bool DatagramWriteOperation::begin(TaskNode& node) {
  if (state_) return state_->begin(*this, node);
  return ends_without_socket(node, "UdpSocket::write: this handle names no socket");
}

void DatagramWriteOperation::cancel(const absl::Status& why) { state_->cancel(*this, why); }

DatagramFlushOperation::DatagramFlushOperation(Ref<UdpState> state) : state_(std::move(state)) {}
DatagramFlushOperation::DatagramFlushOperation(DatagramFlushOperation&& other) noexcept = default;
DatagramFlushOperation::~DatagramFlushOperation() = default;

bool DatagramFlushOperation::begin(TaskNode& node) {
  if (state_) return state_->begin(*this, node);
  return ends_without_socket(node, "UdpSocket::flush: this handle names no socket");
}

void DatagramFlushOperation::cancel(const absl::Status& why) { state_->cancel(*this, why); }

}  // namespace internal
}  // namespace epore
