// The request of the delay client, against a peer that the test plays itself, with system calls
// that are interrupted at every opportunity.

#include "examples/client_request.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/poll/events.h"
#include "epore/poll/poll.h"
#include "gtest/gtest.h"
#include "tests/support/open_fds.h"
#include "tests/support/sockets.h"

namespace {

// How often each was called, while calls are interrupted.
struct Calls {
  int connects = 0;
  int sends = 0;
  int receives = 0;
};
Calls calls;
bool interrupts = false;
bool knows_names = true;

// Every second call, the first included.
bool is_interrupted(int& count) {
  if (!interrupts || ++count % 2 == 0) return false;
  errno = EINTR;
  return true;
}

}  // namespace

// In front of the C library's own, for every caller in this program.
extern "C" ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  if (is_interrupted(calls.receives)) return -1;
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}

extern "C" ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  if (is_interrupted(calls.sends)) return -1;
  return ::syscall(SYS_sendto, fd, buffer, size, flags, nullptr, 0);
}

extern "C" int connect(int fd, const sockaddr* address, socklen_t size) {
  const int result = static_cast<int>(::syscall(SYS_connect, fd, address, size));
  // An interrupted connect goes on in the background.
  return is_interrupted(calls.connects) ? -1 : result;
}

// Without knows_names, as where there is neither /etc/hosts nor a name server.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** list) {
  if (host != nullptr && !knows_names) return EAI_AGAIN;
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, list);
}

namespace examples {
namespace {

TEST(ResolveTest, LocalhostIsLoopbackOnASystemThatDoesNotKnowIt) {
  knows_names = false;
  const auto addresses = resolve("localhost", "80");
  const auto other = resolve("host.example", "80");
  knows_names = true;
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_FALSE(addresses->empty());
  for (const Address& address : *addresses) {
    if (address.storage.ss_family != AF_INET) continue;  // ::1
    sockaddr_in name;
    std::memcpy(&name, &address.storage, sizeof name);
    EXPECT_EQ(ntohl(name.sin_addr.s_addr), INADDR_LOOPBACK);
    EXPECT_EQ(ntohs(name.sin_port), 80);
  }
  EXPECT_EQ(other.status().code(), absl::StatusCode::kNotFound);
}

constexpr char kAnswer[] = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

Address address_of(int port, std::uint32_t host = INADDR_LOOPBACK) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr.s_addr = htonl(host);
  Address address;
  std::memcpy(&address.storage, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

class ClientRequestTest : public ::testing::TestWithParam<const char*> {
 protected:
  ClientRequestTest() : poll_(std::move(*epore::Poll::create({GetParam()}))) {
    addresses_ = {address_of(listener_.port)};
    calls = Calls();
    interrupts = true;
  }
  ~ClientRequestTest() override { interrupts = false; }

  epore::Registry& registry() { return *poll_.registry(); }

  ClientRequest make_request(std::string text = "GET / HTTP/1.1\r\n\r\n") {
    return ClientRequest(epore::Token{0}, std::move(text), addresses_);
  }

  // One poll and what is to be done after it; false if nothing comes in `timeout`.
  bool turn(ClientRequest& request, absl::Duration timeout = absl::Seconds(10)) {
    CHECK_OK(poll_.poll(events_, timeout));
    for (const epore::Event& event : events_) {
      EXPECT_EQ(event.token, epore::Token{0});
      request.on_event(registry());
    }
    return !events_.empty();
  }

  void run_to_end(ClientRequest& request) {
    while (!request.is_done()) ASSERT_TRUE(turn(request));
  }

  // The other end of the connection.
  epore::OwnedFd accept() {
    int fd = -1;
    while ((fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) <
           0) {
      PCHECK(errno == EAGAIN || errno == EINTR);
    }
    return epore::OwnedFd(fd);
  }

  epore::TcpPort listener_ = epore::tcp_listener();
  std::vector<Address> addresses_;
  epore::Poll poll_;
  epore::Events events_{16};
};

TEST_P(ClientRequestTest, GetsItsAnswerThoughEveryCallIsInterrupted) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  EXPECT_EQ(epore::read_some(peer.get()), "GET / HTTP/1.1\r\n\r\n");
  epore::write_all(peer.get(), kAnswer);
  run_to_end(request);
  EXPECT_TRUE(request.status().ok()) << request.status();
  EXPECT_EQ(request.response().body(), "hello");
  EXPECT_EQ(request.take_received(), kAnswer);
  EXPECT_EQ(calls.connects, 1);
  EXPECT_EQ(calls.sends, 2);
  EXPECT_EQ(calls.receives, 2);
}

TEST_P(ClientRequestTest, AnAnswerMayComeInPieces) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  for (const char* c = kAnswer; *c != '\0'; ++c) {
    EXPECT_FALSE(request.is_done());
    epore::write_all(peer.get(), {c, 1});
    ASSERT_TRUE(turn(request));
  }
  EXPECT_TRUE(request.is_done());
  EXPECT_TRUE(request.status().ok());
}

TEST_P(ClientRequestTest, AnAnswerWithoutEndIsAFailure) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  epore::write_all(peer.get(), "HTTP/1.1 200 OK\r\n\r\n");  // up to the end of the connection
  const std::string more(16 * 1024, 'x');
  for (std::size_t sent = 0; !request.is_done(); sent += more.size()) {
    ASSERT_LE(sent, ClientRequest::kLongestAnswer);
    epore::write_all(peer.get(), more);
    ASSERT_TRUE(turn(request));
    (void)request.take_received();
  }
  EXPECT_TRUE(absl::IsOutOfRange(request.status())) << request.status();
}

TEST_P(ClientRequestTest, ALargeRequestIsSentInPieces) {
  const std::string text = "GET /" + std::string(16 << 20, 'x') + " HTTP/1.1\r\n\r\n";
  ClientRequest request = make_request(text);
  request.start(registry());
  epore::OwnedFd peer = accept();
  std::string seen;
  int turns = 0;
  while (seen.size() < text.size()) {
    turn(request, absl::ZeroDuration());
    seen += epore::read_available(peer.get());
    ++turns;
  }
  EXPECT_GT(turns, 2);
  EXPECT_TRUE(seen == text);
  epore::write_all(peer.get(), kAnswer);
  run_to_end(request);
  EXPECT_TRUE(request.status().ok());
}

TEST_P(ClientRequestTest, SpuriousEventsDoNothing) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  for (int i = 0; i < 5; ++i) request.on_event(registry());
  EXPECT_EQ(epore::read_some(peer.get()), "GET / HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 5; ++i) request.on_event(registry());
  EXPECT_FALSE(request.is_done());
  epore::write_all(peer.get(), kAnswer);
  run_to_end(request);
  EXPECT_TRUE(request.status().ok());
}

TEST_P(ClientRequestTest, EventsAfterTheEndDoNothing) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  epore::write_all(peer.get(), kAnswer);
  run_to_end(request);
  for (int i = 0; i < 5; ++i) request.on_event(registry());
  EXPECT_TRUE(request.status().ok());
  EXPECT_EQ(request.response().body(), "hello");
}

TEST_P(ClientRequestTest, AResetIsAnError) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  epore::reset(peer);
  run_to_end(request);
  EXPECT_FALSE(request.status().ok());
}

TEST_P(ClientRequestTest, AnEndBeforeTheAnswerIsCompleteIsAnError) {
  ClientRequest request = make_request();
  request.start(registry());
  epore::OwnedFd peer = accept();
  ASSERT_TRUE(turn(request));
  epore::write_all(peer.get(), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell");
  epore::half_close(peer.get());
  run_to_end(request);
  EXPECT_EQ(request.status().code(), absl::StatusCode::kDataLoss);
}

TEST_P(ClientRequestTest, EveryAddressIsTried) {
  const epore::TcpPort refusing = epore::refusing_port();
  addresses_ = {address_of(refusing.port), address_of(refusing.port), address_of(listener_.port)};
  ClientRequest request = make_request();
  request.start(registry());
  // Two attempts are refused, each told by an event or at once.
  epore::OwnedFd peer;
  while (!peer.is_valid()) {
    peer = epore::OwnedFd(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK));
    turn(request, absl::ZeroDuration());
    ASSERT_FALSE(request.is_done()) << request.status();
  }
  while (epore::read_available(peer.get()).empty()) turn(request, absl::ZeroDuration());
  epore::write_all(peer.get(), kAnswer);
  run_to_end(request);
  EXPECT_TRUE(request.status().ok());
}

// The system sorts the addresses that it cannot reach behind the others.
TEST_P(ClientRequestTest, TheErrorOfTheFirstAddressIsTold) {
  const epore::TcpPort refusing = epore::refusing_port();
  addresses_ = {address_of(refusing.port), address_of(1, INADDR_BROADCAST)};
  ClientRequest request = make_request();
  request.start(registry());
  run_to_end(request);
  EXPECT_NE(std::string(request.status().message()).find("refused"), std::string::npos)
      << request.status();
}

TEST_P(ClientRequestTest, ConnectingDoesNotBlock) {
  // Nobody accepts and the backlog is full, so that the last handshakes hang.
  epore::TcpPort full = epore::tcp_listener(/*backlog=*/0);
  addresses_ = {address_of(full.port)};
  std::deque<ClientRequest> requests;
  for (int i = 0; i < 5; ++i) {
    requests.emplace_back(epore::Token{0}, "GET / HTTP/1.1\r\n\r\n", addresses_);
    requests.back().start(registry());
    EXPECT_FALSE(requests.back().is_done());
  }
}

TEST_P(ClientRequestTest, TheSocketIsCloseOnExecAndIsClosed) {
  const epore::ExpectNoFdLeak check;
  ClientRequest request = make_request();
  const int next = ::dup(listener_.fd.get());  // the number that the socket will have
  PCHECK(::close(next) == 0);
  request.start(registry());
  EXPECT_EQ(::fcntl(next, F_GETFD), FD_CLOEXEC);
}

INSTANTIATE_TEST_SUITE_P(Selectors, ClientRequestTest, ::testing::Values("epoll", "poll"));

}  // namespace
}  // namespace examples
