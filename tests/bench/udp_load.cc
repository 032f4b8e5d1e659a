// A load of datagrams for services.sh: each socket keeps a number of datagrams under way, and sends
// as many as come back. Prints how many were answered, and on stderr how many were lost.

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/tcp.h"

ABSL_FLAG(std::string, address, "", "of the server, HOST:PORT");
ABSL_FLAG(int, sockets, 8, "how many send");
ABSL_FLAG(std::uint32_t, in_flight, 16, "datagrams of each socket that are under way, at most 64");
ABSL_FLAG(std::uint32_t, size, 64, "bytes of a datagram, 8 to 1472");
ABSL_FLAG(double, seconds, 2, "how long");
ABSL_FLAG(bool, offload, false,
          "the system sends and receives the datagrams of a socket at once (UDP_SEGMENT, UDP_GRO)");

namespace epore::bench {
namespace {

constexpr std::size_t kMostInFlight = 64;
constexpr std::size_t kMostBytes = 1472;    // what an Ethernet frame has room for, over IPv4
constexpr std::size_t kMostAtOnce = 65507;  // with offload: the payload of a datagram of IPv4

class Client {
 public:
  static absl::StatusOr<Client> make(const Endpoint& server, std::size_t size, bool has_offload) {
    OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0 || ::connect(fd.get(), server.data(), sizeof server.address) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("a socket to ", server.to_string()));
    }
    const int on = 1;
    const int segment = static_cast<int>(size);
    if (has_offload &&
        (::setsockopt(fd.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0 ||
         ::setsockopt(fd.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0)) {
      return absl::ErrnoToStatus(errno, "UDP_SEGMENT, UDP_GRO");
    }
    return Client(std::move(fd), size, has_offload);
  }

  int fd() const { return fd_.get(); }
  std::uint64_t answered() const { return answered_; }
  std::uint64_t lost() const { return lost_; }

  // Sends `count` datagrams with the next numbers.
  absl::Status send(std::size_t count) {
    std::array<std::array<std::byte, kMostBytes>, kMostInFlight> bytes = {};
    std::array<iovec, kMostInFlight> vectors;
    std::array<mmsghdr, kMostInFlight> messages = {};
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t number = sent_ + i;
      std::memcpy(bytes[i].data(), &number, sizeof number);
      vectors[i] = {bytes[i].data(), size_};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (has_offload_) messages[0].msg_hdr.msg_iovlen = count;
    const unsigned calls = has_offload_ ? 1 : static_cast<unsigned>(count);
    const int took = ::sendmmsg(fd_.get(), messages.data(), calls, 0);
    if (took < 0 && errno != EAGAIN) return absl::ErrnoToStatus(errno, "sendmmsg");
    const std::size_t sent =
        has_offload_ && took > 0 ? count : static_cast<std::size_t>(std::max(took, 0));
    sent_ += sent;
    under_way_ += sent;
    return absl::OkStatus();
  }

  // Takes what has come and answers it. Returns how many came.
  absl::StatusOr<std::size_t> turn() {
    // With offload few messages come, and each may be long.
    static std::array<std::byte, kMostInFlight*(kMostBytes + 1)> bytes;
    const std::size_t room = has_offload_ ? kMostAtOnce : kMostBytes + 1;
    const std::size_t most = std::min(kMostInFlight, bytes.size() / room);
    std::array<iovec, kMostInFlight> vectors;
    std::array<mmsghdr, kMostInFlight> messages = {};
    for (std::size_t i = 0; i < most; ++i) {
      vectors[i] = {bytes.data() + i * room, room};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int result =
        ::recvmmsg(fd_.get(), messages.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
    if (result < 0 && errno == EAGAIN) return 0u;
    if (result < 0) return absl::ErrnoToStatus(errno, "recvmmsg");
    std::size_t got = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(result); ++i) {
      const std::size_t length = messages[i].msg_len;
      if (length == 0 || length % size_ != 0 || (!has_offload_ && length != size_)) {
        return absl::DataLossError("an answer is not what was sent");
      }
      for (std::size_t at = 0; at < length; at += size_, ++got) {
        std::uint64_t number = 0;
        std::memcpy(&number, bytes.data() + i * room + at, sizeof number);
        if (number >= sent_) return absl::DataLossError("an answer is not what was sent");
      }
    }
    // An answer that was taken for lost may come after all.
    under_way_ -= std::min(under_way_, got);
    answered_ += got;
    if (absl::Status sent = send(std::min(got, kMostInFlight)); !sent.ok()) return sent;
    return got;
  }

  // Nothing came for long: what is under way is lost.
  absl::Status refill(std::size_t in_flight) {
    lost_ += under_way_;
    under_way_ = 0;
    return send(in_flight);
  }

 private:
  Client(OwnedFd fd, std::size_t size, bool has_offload)
      : fd_(std::move(fd)), size_(size), has_offload_(has_offload) {}

  OwnedFd fd_;
  std::size_t size_;  // of a datagram
  bool has_offload_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t lost_ = 0;
  std::size_t under_way_ = 0;
};

absl::Status run() {
  const std::size_t in_flight = absl::GetFlag(FLAGS_in_flight);
  const std::size_t size = absl::GetFlag(FLAGS_size);
  const bool has_offload = absl::GetFlag(FLAGS_offload);
  if (in_flight < 1 || in_flight > kMostInFlight || size < 8 || size > kMostBytes ||
      absl::GetFlag(FLAGS_sockets) < 1) {
    return absl::InvalidArgumentError("--sockets, --in_flight or --size is out of its range");
  }
  if (has_offload && in_flight * size > kMostAtOnce) {
    return absl::InvalidArgumentError(
        "with --offload the datagrams under way must fit into 65507 bytes");
  }
  absl::StatusOr<Endpoint> server = Endpoint::parse(absl::GetFlag(FLAGS_address));
  if (!server.ok()) return server.status();
  std::vector<Client> clients;
  std::vector<pollfd> polled;
  for (int i = 0; i < absl::GetFlag(FLAGS_sockets); ++i) {
    absl::StatusOr<Client> client = Client::make(*server, size, has_offload);
    if (!client.ok()) return client.status();
    if (absl::Status sent = client->send(in_flight); !sent.ok()) return sent;
    polled.push_back({.fd = client->fd(), .events = POLLIN, .revents = 0});
    clients.push_back(*std::move(client));
  }
  const absl::Time end = absl::Now() + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  while (absl::Now() < end) {
    std::size_t came = 0;
    for (Client& client : clients) {
      absl::StatusOr<std::size_t> got = client.turn();
      if (!got.ok()) return got.status();
      came += *got;
    }
    if (came != 0 || ::poll(polled.data(), polled.size(), 100) != 0) continue;
    for (Client& client : clients) {
      if (absl::Status sent = client.refill(in_flight); !sent.ok()) return sent;
    }
  }
  std::uint64_t answered = 0;
  std::uint64_t lost = 0;
  for (const Client& client : clients) {
    answered += client.answered();
    lost += client.lost();
  }
  std::printf("%ju\n", static_cast<std::uintmax_t>(answered));
  if (lost != 0) std::fprintf(stderr, "%ju lost\n", static_cast<std::uintmax_t>(lost));
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Sends datagrams to an echo server; see tests/bench/services.sh.");
  absl::ParseCommandLine(argc, argv);
  if (absl::Status ran = epore::bench::run(); !ran.ok()) {
    std::fprintf(stderr, "udp_load: %s\n", ran.ToString().c_str());
    return 1;
  }
}
