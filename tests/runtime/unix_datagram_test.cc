// Unix datagram sockets: what they share with UDP, and what differs.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/descriptor_messages.h"
#include "tests/support/open_fds.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using Batch = std::span<const Datagram>;
using Received = absl::StatusOr<Batch>;

SocketAddress parse(std::string_view text) {
  absl::StatusOr<SocketAddress> address = SocketAddress::parse(text);
  CHECK_OK(address.status());
  return *address;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// A socket of the test's own, past every Kernel.
OwnedFd bound_socket(std::string_view address, int type = SOCK_DGRAM) {
  const SocketAddress at = parse(address);
  OwnedFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  PCHECK(fd.is_valid());
  PCHECK(::bind(fd.get(), at.data(), at.size()) == 0);
  return fd;
}

Task<> echo(UnixDatagramSocket socket) {
  while (true) {
    for (const Datagram& d : co_await socket.receive()) (void)socket.send(d.bytes, d.peer);
  }
}

class UnixDatagramTest : public RuntimeTest {
 protected:
  static UnixDatagramSocket open(Runtime& runtime, std::string_view address,
                                 const UdpOptions& options = {}) {
    absl::StatusOr<UnixDatagramSocket> socket = runtime.unix_datagram(address, options);
    CHECK_OK(socket.status());
    return *std::move(socket);
  }

  // Sends "0", "1", ... until the receiver has no room. Returns how many; the last one waits.
  static int fill(Runtime& runtime, ClockKernel& clock, const UnixDatagramSocket& from,
                  const SocketAddress& to) {
    const auto is_full = std::make_shared<std::atomic<bool>>(false);
    clock.after(KernelCall::kSendmmsg, [is_full](const FaultKernel::Call& call) {
      if (call.result.error() == EAGAIN) *is_full = true;
    });
    int sent = 0;
    while (!*is_full) {
      EXPECT_TRUE(from.send(absl::StrCat(sent), to).ok());
      ++sent;
      while (!*is_full && from.counters().sent < static_cast<std::uint64_t>(sent)) fence(runtime);
    }
    clock.after(KernelCall::kSendmmsg, nullptr);
    clock.await_waiters();  // its timer
    return sent;
  }

  static void expect_refused(const absl::Status& status, absl::StatusCode code,
                             std::string_view part) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path("x.sock");
  const std::string address_ = "unix:" + path_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UnixDatagramTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(UnixDatagramTest, DescriptorsThatAPeerSendsAreClosed) {
  Runtime runtime(options());
  const UnixDatagramSocket server = open(runtime, address_);
  const OwnedFd client(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  PCHECK(::connect(client.get(), server.address().data(), server.address().size()) == 0);
  const OwnedFd file = memory_file("text");
  const absl::Status status = runtime.run([&]() -> Task<> {
    const ExpectNoFdLeak check;
    for (int i = 0; i < 50; ++i) {
      send_with_fds(client.get(), absl::StrCat(i), {file.get(), file.get()});
      for (const Datagram& d : co_await server.receive()) {
        EXPECT_EQ(d.bytes.text(), absl::StrCat(i));
        EXPECT_FALSE(d.is_truncated);
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UnixDatagramTest, AQuestionIsAnsweredByPathAndByName) {
  Runtime runtime(options());
  for (const std::string& address : {address_, absl::StrCat("unix:@", path_)}) {
    UnixDatagramSocket server = open(runtime, address);
    EXPECT_EQ(server.address().to_string(), address);
    Job job = runtime.spawn(echo, server);
    const absl::Status status = runtime.run([&]() -> Task<> {
      UnixDatagramSocket client = co_await runtime.unix_datagram("");
      EXPECT_TRUE(absl::StartsWith(client.address().to_string(), "unix:@"));
      for (int i = 0; i < 100; ++i) {
        co_await client.send(absl::StrCat(i), server.address());
        const Batch batch = co_await client.receive();
        EXPECT_EQ(batch.size(), 1u);
        EXPECT_EQ(batch[0].bytes.text(), absl::StrCat(i));
        EXPECT_EQ(batch[0].peer, server.address());
      }
    });
    EXPECT_TRUE(status.ok()) << status;
    job.stop();
  }
}

TEST_P(UnixDatagramTest, AConnectedSocketHearsOfItsPeerOnly) {
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  UdpOptions connected;
  connected.peer = server.address();
  UnixDatagramSocket client = open(runtime, "", connected);
  UnixDatagramSocket stranger = open(runtime, "");
  Job job = runtime.spawn(echo, server);
  const absl::Status status = runtime.run([&]() -> Task<> {
    co_await stranger.send("no", client.address());
    co_await client.send("yes");
    const Batch batch = co_await client.receive();
    EXPECT_EQ(batch[0].bytes.text(), "yes");
  });
  EXPECT_TRUE(status.ok()) << status;
  job.stop();
}

TEST_P(UnixDatagramTest, ACallbackAnswers) {
  Runtime runtime(options());
  absl::StatusOr<UnixDatagramSocket> server =
      runtime.unix_datagram(address_, [](UnixDatagramSocket& self, Received received) {
        ASSERT_TRUE(received.ok()) << received.status();
        for (const Datagram& d : *received) EXPECT_TRUE(self.send(d.bytes, d.peer).ok());
      });
  ASSERT_TRUE(server.ok()) << server.status();
  UnixDatagramSocket client = open(runtime, "");
  const absl::Status status = runtime.run([&]() -> Task<> {
    co_await client.send("x", server->address());
    const Batch batch = co_await client.receive();
    EXPECT_EQ(batch[0].bytes.text(), "x");
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UnixDatagramTest, AClientWithoutANameHasNoAddress) {
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  const OwnedFd client(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress to = server.address();
  PCHECK(::sendto(client.get(), "x", 1, 0, to.data(), to.size()) == 1);
  const absl::Status status = runtime.run([&]() -> Task<> {
    const Batch batch = co_await server.receive();
    EXPECT_EQ(batch[0].bytes.text(), "x");
    const std::string name = batch[0].peer.to_string();
    EXPECT_TRUE(name.empty() || name == "unix:") << name;
  });
  EXPECT_TRUE(status.ok()) << status;
}

// The system lets some ten datagrams wait at a receiver (net.unix.max_dgram_qlen).
TEST_P(UnixDatagramTest, AReceiverThatIsSlowLosesNothingOfAConnectedSocket) {
  constexpr int kCount = 2000;
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  UdpOptions connected;
  connected.peer = server.address();
  UnixDatagramSocket client = open(runtime, "", connected);
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(client.send(absl::StrCat(i)).ok());
  const absl::Status status = runtime.run([&]() -> Task<> {
    for (int next = 0; next < kCount;) {
      for (const Datagram& d : co_await server.receive()) {
        EXPECT_EQ(d.bytes.text(), absl::StrCat(next));
        ++next;
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(client.counters().send_errors, 0u);
}

TEST_P(UnixDatagramTest, ADatagramWaitsForRoomAtItsReceiver) {
  ClockKernel clock;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  UnixDatagramSocket server = open(runtime, address_);
  UnixDatagramSocket client = open(runtime, "");
  const int sent = fill(runtime, clock, client, server.address());
  std::atomic<int> next{0};
  Job job = runtime.spawn([&]() -> Task<> {
    while (next < sent) {
      for (const Datagram& d : co_await server.receive()) {
        EXPECT_EQ(d.bytes.text(), absl::StrCat(next.load()));
        ++next;
      }
    }
  });
  while (next < sent - 1) fence(runtime);  // now there is room
  while (next < sent) {
    clock.advance(absl::Milliseconds(1));
    fence(runtime);
  }
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(client.counters().send_errors, 0u);
}

// Moves the clock until `socket` gets a datagram, which is to be `text`. Returns how far.
absl::Duration time_until(Runtime& runtime, ClockKernel& clock, UnixDatagramSocket& socket,
                          std::string_view text) {
  std::atomic<bool> is_there = false;
  Job job = runtime.spawn([&]() -> Task<> {
    const Batch batch = co_await socket.receive();
    EXPECT_EQ(batch[0].bytes.text(), text);
    is_there = true;
  });
  absl::Duration waited;
  while (!is_there) {
    fence(runtime);
    clock.advance(absl::Milliseconds(1));
    waited += absl::Milliseconds(1);
  }
  EXPECT_TRUE(job.wait().ok());
  return waited;
}

// A connected socket that sends to somebody else is not woken when that one has room.
TEST_P(UnixDatagramTest, AConnectedSocketWaitsForRoomElsewhere) {
  ClockKernel clock;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  UnixDatagramSocket peer = open(runtime, absl::StrCat(address_, ".2"));
  UdpOptions connected;
  connected.peer = peer.address();
  UnixDatagramSocket client = open(runtime, "", connected);
  UnixDatagramSocket deaf = open(runtime, address_);
  UnixDatagramSocket stranger = open(runtime, "");
  (void)fill(runtime, clock, stranger, deaf.address());
  ASSERT_TRUE(client.send("lost", deaf.address()).ok());
  ASSERT_TRUE(client.send("lost too", deaf.address()).ok());
  ASSERT_TRUE(client.send("y").ok());
  EXPECT_GE(time_until(runtime, clock, peer, "y"), absl::Milliseconds(50));
  EXPECT_EQ(client.counters().send_errors, 2u);
}

TEST_P(UnixDatagramTest, APeerThatIsBackAtItsAddressIsHeardAgain) {
  Runtime runtime(options());
  UdpOptions connected;
  connected.peer = SocketAddress::parse(address_).value();
  {
    OwnedFd first = bound_socket(address_);
    absl::StatusOr<UnixDatagramSocket> client = runtime.unix_datagram("", connected);
    ASSERT_TRUE(client.ok()) << client.status();
    ASSERT_TRUE(client->send("1").ok());
    while (client->counters().sent < 1) fence(runtime);
    first.reset();
    ::unlink(path_.c_str());
    const OwnedFd second = bound_socket(address_);
    ASSERT_TRUE(client->send("2").ok());
    ASSERT_TRUE(client->send("3").ok());
    while (client->counters().sent < 3) fence(runtime);
    for (const char expected : {'2', '3'}) {
      char byte = 0;
      PCHECK(::recv(second.get(), &byte, 1, 0) == 1);
      EXPECT_EQ(byte, expected);
    }
    EXPECT_EQ(client->counters().send_errors, 0u);
  }
}

// A receiver that never looks holds nobody else up for long.
TEST_P(UnixDatagramTest, ADatagramWithoutRoomIsDroppedInTheEnd) {
  ClockKernel clock;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  UnixDatagramSocket deaf = open(runtime, address_);
  UnixDatagramSocket other = open(runtime, absl::StrCat(address_, ".2"));
  UnixDatagramSocket client = open(runtime, "");
  (void)fill(runtime, clock, client, deaf.address());
  ASSERT_TRUE(client.send("y", other.address()).ok());
  EXPECT_GE(time_until(runtime, clock, other, "y"), absl::Milliseconds(50));
  EXPECT_EQ(client.counters().send_errors, 1u);
}

TEST_P(UnixDatagramTest, AReceiverThatIsGoneIsTold) {
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  UdpOptions connected;
  connected.peer = server.address();
  UnixDatagramSocket client = open(runtime, "", connected);
  const absl::Status status = runtime.run([&]() -> Task<> {
    server.close();
    const Received closed = co_await server.receive().result();
    EXPECT_FALSE(closed.ok());
    // The system disconnects the socket with the first one.
    for (int i = 0; i < 3; ++i) {
      co_await client.send("anybody?");
      const Received received = co_await client.receive().result();
      EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
      EXPECT_EQ(peer_of(received.status()).to_string(), address_) << received.status();
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

// Other programs name their sockets as they like.
TEST_P(UnixDatagramTest, APeerWhoseNameIsNotPrintableIsTold) {
  const std::string names[] = {std::string("\0epore\x01\n", 8) + path_, path_ + "\n\x7f"};
  for (const std::string& name : names) {
    sockaddr_un at = {};
    at.sun_family = AF_UNIX;
    name.copy(at.sun_path, name.size());
    const auto size = static_cast<unsigned>(offsetof(sockaddr_un, sun_path) + name.size());
    OwnedFd server(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    UdpOptions connected;
    connected.peer = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&at), size);
    Runtime runtime(options());
    UnixDatagramSocket client = open(runtime, "", connected);
    server.reset();
    const absl::Status status = runtime.run([&]() -> Task<> {
      co_await client.send("anybody?");
      const Received received = co_await client.receive().result();
      EXPECT_EQ(peer_of(received.status()), connected.peer) << received.status();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(UnixDatagramTest, TheFileGoesWithTheSocketAndHasItsMode) {
  Runtime runtime(options());
  UdpOptions mode;
  mode.unix_mode = 0600;
  {
    const UnixDatagramSocket socket = open(runtime, address_, mode);
    struct stat status = {};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
  while (!directory_.is_empty()) fence(runtime);
  const UnixDatagramSocket socket = open(runtime, address_);
  EXPECT_TRUE(exists(path_));
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(directory_.is_empty());
}

TEST_P(UnixDatagramTest, AFileThatNobodyHasIsTakenOver) {
  bound_socket(address_).reset();  // as a process that has crashed
  ASSERT_TRUE(exists(path_));
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  UnixDatagramSocket client = open(runtime, "");
  ASSERT_TRUE(client.send("x", server.address()).ok());
  const absl::Status status = runtime.run([&]() -> Task<> { (void)co_await server.receive(); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UnixDatagramTest, AFileThatSomebodyHasIsNot) {
  Runtime runtime(options());
  {
    const OwnedFd other = bound_socket(address_);
    expect_refused(runtime.unix_datagram(address_).status(), absl::StatusCode::kAlreadyExists,
                   "somebody listens");
  }
  ::unlink(path_.c_str());
  {
    const OwnedFd stream = bound_socket(address_, SOCK_STREAM);
    PCHECK(::listen(stream.get(), 1) == 0);
    expect_refused(runtime.unix_datagram(address_).status(), absl::StatusCode::kAlreadyExists,
                   "somebody may listen");
  }
  ::unlink(path_.c_str());
  std::ofstream(path_) << "no socket";
  expect_refused(runtime.unix_datagram(address_).status(), absl::StatusCode::kAlreadyExists,
                 "no socket");
}

TEST_P(UnixDatagramTest, WhatIsOfUdpIsRefused) {
  Runtime runtime(options());
  const auto refused = [&](std::string_view address, const UdpOptions& options,
                           std::string_view part) {
    expect_refused(runtime.unix_datagram(address, options).status(),
                   absl::StatusCode::kInvalidArgument, part);
  };
  refused("127.0.0.1:0", {}, "not a Unix socket; Runtime::udp() is for UDP");
  refused("/run/x", {}, "a Unix socket is written unix:/run/x.sock");
  UdpOptions of_udp;
  of_udp.peer = parse("127.0.0.1:1");
  refused("", of_udp, "UdpOptions::peer is no Unix socket");
  using Change = void (*)(UdpOptions&);
  const std::pair<Change, std::string_view> changes[] = {
      {[](UdpOptions& o) { o.local_address = true; }, "UdpOptions::local_address"},
      {[](UdpOptions& o) { o.receive_offload = true; }, "UdpOptions::receive_offload"},
      {[](UdpOptions& o) { o.icmp_errors = true; }, "UdpOptions::icmp_errors"},
      {[](UdpOptions& o) { o.reuse_port = true; }, "UdpOptions::reuse_port"},
      {[](UdpOptions& o) { o.reuse_address = true; }, "UdpOptions::reuse_address"},
      {[](UdpOptions& o) { o.broadcast = true; }, "UdpOptions::broadcast"},
      {[](UdpOptions& o) { o.hops = 1; }, "UdpOptions::hops"},
      {[](UdpOptions& o) { o.traffic_class = 0; }, "UdpOptions::traffic_class"},
      {[](UdpOptions& o) { o.multicast_interface = 1; }, "UdpOptions::multicast_interface"},
      {[](UdpOptions& o) { o.multicast_hops = 0; }, "UdpOptions::multicast_hops"},
      {[](UdpOptions& o) { o.multicast_loop = false; }, "UdpOptions::multicast_loop"},
      {[](UdpOptions& o) { o.unix_mode = 01000; }, "unix_mode"}};
  for (const auto& [change, part] : changes) {
    UdpOptions options;
    change(options);
    refused("", options, part);
  }
  expect_refused(runtime.unix_datagram(address_, nullptr).status(),
                 absl::StatusCode::kInvalidArgument, "on_receive is null");
  const std::string_view hint = "Runtime::unix_datagram() opens it";
  expect_refused(runtime.udp(address_).status(), absl::StatusCode::kInvalidArgument, hint);
  of_udp.peer = parse(address_);
  expect_refused(runtime.udp("", of_udp).status(), absl::StatusCode::kInvalidArgument, hint);
  EXPECT_TRUE(directory_.is_empty());
}

TEST_P(UnixDatagramTest, CallsThatAreRefusedLeaveNothing) {
  Runtime runtime(options());
  UnixDatagramSocket server = open(runtime, address_);
  UdpOptions all;
  all.peer = server.address();
  all.unix_mode = 0600;
  all.receive_buffer = 4096;
  for (const KernelCall kind : {KernelCall::kSocket, KernelCall::kBind, KernelCall::kConnect,
                                KernelCall::kSetsockopt, KernelCall::kFchmod}) {
    kernel_.fail(kind, EACCES);
    const absl::Status status = runtime.unix_datagram(address_ + ".2", all).status();
    EXPECT_EQ(errno_of(status), EACCES) << status;
    kernel_.fail(kind, 0);
    EXPECT_FALSE(exists(path_ + ".2"));
  }
}

}  // namespace
}  // namespace epore
