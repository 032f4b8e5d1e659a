// What each end of a connection's life is told as: the table in poll/readiness.h.

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr Token kToken{7};
const Interest kBoth = Interest::readable() | Interest::writable();

class ReadinessTest : public EngineTest {};
EPORE_FOR_EVERY_ENGINE(ReadinessTest);

// The end of the peer's stream is not the end of the connection.
TEST_P(ReadinessTest, HalfCloseIsReadClosedAndNothingMore) {
  for (const SocketPair& pair : {unix_pair(), tcp_pair()}) {
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
    half_close(pair.b.get());
    const Readiness ready = Readiness::readable() | Readiness::read_closed();
    EXPECT_EQ(expect_event(poll_, kToken, ready), ready);
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

// A full, half-closed socket is not writable. See tokio-rs/mio#933.
TEST_P(ReadinessTest, HalfCloseOfAFullSocketIsNotWritableUntilThePeerReads) {
  const SocketPair pair = unix_pair();
  fill(pair.a.get());
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, kBoth), IsOk());
  half_close(pair.b.get());
  const Readiness closed = Readiness::readable() | Readiness::read_closed();
  EXPECT_EQ(expect_event(poll_, kToken, closed), closed);
  for (const Event& event : take_events(poll_)) EXPECT_FALSE(event.is_writable());
  read_available(pair.b.get());
  EXPECT_EQ(expect_event(poll_, kToken, Readiness::writable()), closed | Readiness::writable());
}

// What was sent before the end of the stream is all there, and the other way goes on.
TEST_P(ReadinessTest, BytesBeforeAHalfCloseAreNotLost) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{60'000}}) {
    const SocketPair pair = unix_pair();
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
    write_all(pair.b.get(), std::string(size, 'x'));
    half_close(pair.b.get());
    expect_event(poll_, kToken, Readiness::readable() | Readiness::read_closed());
    EXPECT_EQ(read_available(pair.a.get()).size(), size);
    char byte;
    EXPECT_EQ(Kernel::real().read(pair.a.get(), &byte, 1).value(), 0);
    write_all(pair.a.get(), "back");
    EXPECT_EQ(read_available(pair.b.get()), "back");
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

TEST_P(ReadinessTest, CloseOfAUnixPeerIsClosedBothWays) {
  SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  pair.b.reset();
  const Readiness ready = Readiness::readable() | Readiness::writable() | Readiness::read_closed() |
                          Readiness::write_closed();
  EXPECT_EQ(expect_event(poll_, kToken, ready), ready);
}

TEST_P(ReadinessTest, CloseOfATcpPeerIsReadClosed) {
  SocketPair pair = tcp_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  pair.b.reset();
  const Readiness ready = Readiness::readable() | Readiness::read_closed();
  EXPECT_EQ(expect_event(poll_, kToken, ready), ready);
}

TEST_P(ReadinessTest, ResetIsAnErrorWhateverWasAskedFor) {
  for (const Interest interest : {Interest::readable(), Interest::writable().one_shot()}) {
    SocketPair pair = tcp_pair();
    fill(pair.a.get());  // so that it is not writable before
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, interest), IsOk());
    reset(pair.b);
    const Readiness ready = Readiness::readable() | Readiness::writable() |
                            Readiness::read_closed() | Readiness::write_closed() |
                            Readiness::error();
    EXPECT_EQ(expect_event(poll_, kToken, ready), ready);
    EXPECT_EQ(take_socket_error(pair.a.get()), ECONNRESET);
    EXPECT_EQ(take_socket_error(pair.a.get()), 0);
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

TEST_P(ReadinessTest, RefusedConnectIsAnErrorToTakeOnce) {
  const TcpPort port = refusing_port();
  const OwnedFd fd = start_connect(port.port);
  ASSERT_THAT(registry_->register_fd(fd.get(), kToken, Interest::writable()), IsOk());
  const Readiness ready = expect_event(poll_, kToken, Readiness::writable() | Readiness::error());
  EXPECT_TRUE(ready.is_write_closed());
  EXPECT_EQ(take_socket_error(fd.get()), ECONNREFUSED);
  EXPECT_EQ(take_socket_error(fd.get()), 0);
}

TEST_P(ReadinessTest, AConnectThatSucceedsIsWritableAndItsListenerReadable) {
  const TcpPort listener = tcp_listener();
  ASSERT_THAT(registry_->register_fd(listener.fd.get(), Token{1}, Interest::readable().level()),
              IsOk());
  const OwnedFd fd = start_connect(listener.port);
  ASSERT_THAT(registry_->register_fd(fd.get(), Token{2}, Interest::writable()), IsOk());
  const auto seen =
      expect_events(poll_, {{Token{1}, Readiness::readable()}, {Token{2}, Readiness::writable()}});
  EXPECT_EQ(seen.at(2), Readiness::writable());
  EXPECT_EQ(take_socket_error(fd.get()), 0);
}

TEST_P(ReadinessTest, AReaderHearsThatThePipeHasNoWriterLeft) {
  Pipe pipe = make_pipe();
  ASSERT_THAT(registry_->register_fd(pipe.reader.get(), kToken, Interest::readable()), IsOk());
  write_all(pipe.writer.get(), "last words");
  pipe.writer.reset();
  expect_event(poll_, kToken, Readiness::readable() | Readiness::read_closed());
  EXPECT_EQ(read_available(pipe.reader.get()), "last words");
}

TEST_P(ReadinessTest, AWriterHearsThatThePipeHasNoReaderLeft) {
  Pipe pipe = make_pipe();
  fill(pipe.writer.get());
  ASSERT_THAT(registry_->register_fd(pipe.writer.get(), kToken, Interest::writable()), IsOk());
  expect_no_events(poll_);
  pipe.reader.reset();
  expect_event(poll_, kToken,
               Readiness::writable() | Readiness::write_closed() | Readiness::error());
}

// To hear nothing of a connection, deregister it; then a hang-up does not spin.
TEST_P(ReadinessTest, ADeregisteredConnectionDoesNotReportHangUps) {
  SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable().level()), IsOk());
  ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  pair.b.reset();
  Events events(8);
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
    EXPECT_TRUE(events.empty());
  }
}

TEST_P(ReadinessTest, AFiredOneShotDoesNotSpinOnAHangUp) {
  SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable().one_shot()),
              IsOk());
  pair.b.reset();
  std::size_t total = 0;
  Events events(8);
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
    total += events.size();
  }
  EXPECT_EQ(total, 1u);
}

// An event whose bytes somebody else has read costs an EAGAIN and nothing else.
TEST_P(ReadinessTest, ASpuriousEventLosesNoLaterOne) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  for (int round = 0; round < 10; ++round) {
    write_all(pair.b.get(), "first");
    Events events(8);
    ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(read_available(pair.a.get()), "first");  // behind the back of whoever has the event
    EXPECT_EQ(read_available(pair.a.get()), "");
    write_all(pair.b.get(), "second");
    expect_event(poll_, kToken, Readiness::readable());
    EXPECT_EQ(read_available(pair.a.get()), "second");
  }
}

// A read stops at urgent data, so who reads less than there was room for must be told of them; and
// who does not take them must not be told for ever.
TEST_P(ReadinessTest, UrgentDataAreAHintAndNoSpin) {
  for (const Interest interest : {Interest::readable(), Interest::readable().level()}) {
    if (interest.trigger() == Trigger::edge && !registry_->has_edges()) continue;
    const SocketPair pair = tcp_pair();
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, interest), IsOk());
    write_all(pair.b.get(), "abc");
    ASSERT_EQ(::send(pair.b.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    write_all(pair.b.get(), "efg");
    const Readiness told = expect_event(poll_, kToken, Readiness::readable());
    EXPECT_EQ(told.is_priority(), interest.trigger() == Trigger::edge);
    std::string got = read_available(pair.a.get());
    Events events(8);
    while (got.size() < 6) {  // the rest was on its way; each part has an event
      ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
      ASSERT_FALSE(events.empty()) << got;
      got += read_available(pair.a.get());
    }
    EXPECT_EQ(got, "abcefg");
    expect_no_events(poll_);
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

}  // namespace
}  // namespace epore
