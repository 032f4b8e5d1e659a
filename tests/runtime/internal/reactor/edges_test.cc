#include "epore/runtime/internal/reactor/edges.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

TEST(EdgesTest, AnEdgeMakesItsDirectionReadyUntilItIsUsedUp) {
  Edges edges;
  EXPECT_FALSE(edges.is_ready(Direction::read));
  edges.add(Readiness::readable());
  EXPECT_TRUE(edges.is_ready(Direction::read));
  EXPECT_FALSE(edges.is_ready(Direction::write));
  edges.use_up(Direction::read, edges.mark(Direction::read));
  EXPECT_FALSE(edges.is_ready(Direction::read));
  edges.add(Readiness::readable() | Readiness::writable());
  EXPECT_TRUE(edges.is_ready(Direction::read));
  EXPECT_TRUE(edges.is_ready(Direction::write));
}

TEST(EdgesTest, F10AnEdgeAfterTheMarkIsNotUsedUp) {
  Edges edges;
  edges.add(Readiness::readable());
  const std::uint32_t mark = edges.mark(Direction::read);
  edges.add(Readiness::readable());
  edges.use_up(Direction::read, mark);
  EXPECT_TRUE(edges.is_ready(Direction::read));
}

TEST(EdgesTest, F10ManyEdgesInOneCallAreNotTakenForNone) {  // tokio#6133: eight bits came round
  Edges edges;
  for (int bits : {8, 16, 20}) {
    const std::uint32_t mark = edges.mark(Direction::write);
    for (int i = 0; i < 1 << bits; ++i) edges.add(Readiness::writable());
    edges.use_up(Direction::write, mark);
    EXPECT_TRUE(edges.is_ready(Direction::write)) << bits;
  }
}

TEST(EdgesTest, F11AnEdgeOfOneDirectionDoesNotKeepTheOtherReady) {
  const Direction directions[] = {Direction::read, Direction::write};
  const Readiness told[] = {Readiness::readable(), Readiness::writable()};
  for (int i = 0; i < 2; ++i) {
    Edges edges;
    edges.add(told[i]);
    const std::uint32_t mark = edges.mark(directions[i]);
    edges.add(told[1 - i]);  // between the call that says EAGAIN and the note of it
    edges.use_up(directions[i], mark);
    EXPECT_FALSE(edges.is_ready(directions[i]));
    EXPECT_TRUE(edges.is_ready(directions[1 - i]));
  }
}

// What a plain bool does in the place of Edges.
class PlainReadiness {
 public:
  void add(Readiness) { is_ready_ = true; }
  std::uint32_t mark(Direction) const { return 0; }
  bool is_ready(Direction) const { return is_ready_; }
  void use_up(Direction, std::uint32_t) { is_ready_ = false; }

 private:
  bool is_ready_ = false;
};

// A socket whose bytes come in three pieces, a poll thread that tells each as an edge, and a runner
// that reads until EAGAIN whenever it was woken and is ready.
template <typename Readinesses>
class ReadModel {
 public:
  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(poll_thread());
    threads.push_back(runner());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {in_socket_, woken_, mark_, edges_.mark(Direction::read),
            edges_.is_ready(Direction::read)};
  }

  std::string violation(bool is_over) const {
    return is_over && in_socket_ > 0 ? "bytes lie unread" : "";
  }

 private:
  static constexpr const char* kPieces[3][3] = {{"bytes 1", "edge 1", "wake 1"},
                                                {"bytes 2", "edge 2", "wake 2"},
                                                {"bytes 3", "edge 3", "wake 3"}};

  ModelThread poll_thread() {
    for (const auto& names : kPieces) {
      co_await step(names[0]);
      ++in_socket_;
      co_await step(names[1]);
      edges_.add(Readiness::readable());
      co_await step(names[2]);
      woken_ = true;
    }
  }

  ModelThread runner() {
    for (;;) {
      co_await step("run", [this] { return woken_; });
      woken_ = false;
      for (;;) {
        co_await step("is it ready");
        if (!edges_.is_ready(Direction::read)) break;
        co_await step("mark");
        mark_ = edges_.mark(Direction::read);
        co_await step("recv");
        if (in_socket_ > 0) {
          in_socket_ = 0;
          continue;
        }
        co_await step("use up");  // EAGAIN
        edges_.use_up(Direction::read, static_cast<std::uint32_t>(mark_));
      }
    }
  }

  int in_socket_ = 0;
  bool woken_ = false;
  std::int64_t mark_ = 0;
  Readinesses edges_;
};

template <typename Readinesses>
Exploration explore_reading() {
  return explore_interleavings([] { return std::make_unique<ReadModel<Readinesses>>(); });
}

TEST(EdgesTest, F10NoInterleavingForgetsAnEdge) {
  const Exploration found = explore_reading<Edges>();
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 100u);
}

TEST(EdgesTest, F10TheExplorerFindsTheEdgeThatABoolForgets) {
  EXPECT_EQ(explore_reading<PlainReadiness>().violation, "bytes lie unread");
}

// Registration::ready() and wait_for_write(), line by line, as each of them is two atomic steps: a
// writer that fills the socket, and a poll thread that tells of room but wakes only one that waits.
enum class Waiting { announced_first, looked_first };

class WriteModel {
 public:
  explicit WriteModel(Waiting order) : order_(order) {}

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(poll_thread());
    threads.push_back(writer());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {room_,
            left_,
            woken_,
            waits_,
            saw_edge_,
            mark_,
            edges_.mark(Direction::write),
            edges_.is_ready(Direction::write)};
  }

  std::string violation(bool is_over) const {
    return is_over && left_ > 0 && room_ > 0 ? "it waits for room that is there" : "";
  }

 private:
  static constexpr const char* kTold[2][4] = {{"room 1", "edge 1", "who waits 1", "wake 1"},
                                              {"room 2", "edge 2", "who waits 2", "wake 2"}};

  ModelThread poll_thread() {
    for (const auto& names : kTold) {
      co_await step(names[0]);
      ++room_;
      co_await step(names[1]);
      edges_.add(Readiness::writable());
      co_await step(names[2]);
      if (waits_) {
        co_await step(names[3]);
        woken_ = true;
      }
    }
  }

  ModelThread writer() {
    while (left_ > 0) {
      co_await step("mark");
      mark_ = edges_.mark(Direction::write);
      co_await step("send");
      if (room_ > 0) {
        --room_;
        --left_;
        continue;
      }
      co_await step("use up");  // EAGAIN
      edges_.use_up(Direction::write, static_cast<std::uint32_t>(mark_));
      if (order_ == Waiting::announced_first) {
        co_await step("announce");
        waits_ = true;
        co_await step("was there an edge");
        saw_edge_ = edges_.is_ready(Direction::write);
      } else {
        co_await step("was there an edge");
        saw_edge_ = edges_.is_ready(Direction::write);
        co_await step("announce");
        waits_ = true;
      }
      if (saw_edge_) continue;
      do {
        co_await step("run", [this] { return woken_; });
        woken_ = false;
      } while (!edges_.is_ready(Direction::write));
      waits_ = false;
    }
  }

  const Waiting order_;
  int room_ = 1;
  int left_ = 3;
  bool woken_ = false;
  bool waits_ = false;
  bool saw_edge_ = false;
  std::int64_t mark_ = 0;
  Edges edges_;
};

Exploration explore_writing(Waiting order) {
  return explore_interleavings([order] { return std::make_unique<WriteModel>(order); });
}

TEST(EdgesTest, NoInterleavingLeavesAWriterWaitingForRoomThatIsThere) {
  const Exploration found = explore_writing(Waiting::announced_first);
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 50u);
}

TEST(EdgesTest, TheExplorerFindsTheWriterThatLooksBeforeItSaysThatItWaits) {
  EXPECT_EQ(explore_writing(Waiting::looked_first).violation, "it waits for room that is there");
}

}  // namespace
}  // namespace epore::internal
