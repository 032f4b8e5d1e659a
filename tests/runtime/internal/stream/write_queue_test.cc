#include "epore/runtime/internal/stream/write_queue.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace epore::internal {
namespace {

void append(WriteQueue& queue, std::string_view text) {
  queue.append(std::as_bytes(std::span(text)));
}

// What gather() shows, through at most `pieces` vectors.
std::string front(const WriteQueue& queue, std::size_t pieces = 64) {
  std::array<iovec, 64> vectors;
  const std::size_t count = queue.gather(std::span(vectors).first(pieces));
  EXPECT_LE(count, pieces);
  std::string text;
  for (const iovec& vector : std::span(vectors).first(count)) {
    EXPECT_GT(vector.iov_len, 0u);
    text.append(static_cast<const char*>(vector.iov_base), vector.iov_len);
  }
  return text;
}

std::string numbered(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

TEST(WriteQueueTest, IsEmptyAtFirst) {
  WriteQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(front(queue), "");
  queue.consume(0);
  queue.clear();
  append(queue, "");
  EXPECT_TRUE(queue.empty());
}

TEST(WriteQueueTest, KeepsBytesInOrderAtEverySplit) {
  const std::string text = numbered(30'000);
  for (std::size_t step : {1u, 7u, 4064u, 4096u, 29'999u, 30'000u}) {
    WriteQueue queue;
    for (std::size_t at = 0; at < text.size(); at += 1'000) append(queue, text.substr(at, 1'000));
    std::string taken;
    while (!queue.empty()) {
      const std::size_t count = std::min(step, queue.size());
      taken += front(queue).substr(0, count);
      queue.consume(count);
      ASSERT_EQ(queue.size(), text.size() - taken.size());
    }
    EXPECT_EQ(taken, text) << "in steps of " << step;
  }
}

TEST(WriteQueueTest, TakesBytesBetweenTwoConsumes) {
  WriteQueue queue;
  append(queue, "abc");
  queue.consume(2);
  append(queue, "def");
  EXPECT_EQ(front(queue), "cdef");
  queue.consume(4);
  EXPECT_TRUE(queue.empty());
  append(queue, "ghi");
  EXPECT_EQ(front(queue), "ghi");
}

TEST(WriteQueueTest, GathersNoMoreThanThereIsRoomFor) {
  WriteQueue queue;
  const std::string text = numbered(1'000'000);
  append(queue, text);
  const std::string one = front(queue, 1);
  EXPECT_LT(one.size(), text.size());
  EXPECT_EQ(one, text.substr(0, one.size()));
  EXPECT_EQ(front(queue), text);
}

TEST(WriteQueueTest, SharedBytesStayWhereTheyAre) {
  const Bytes shared(numbered(10'000));
  WriteQueue queue;
  append(queue, "head");
  queue.append(shared);
  queue.append(shared.slice(100, 50));
  append(queue, "tail");
  EXPECT_EQ(queue.size(), 10'058u);
  std::array<iovec, 8> vectors;
  ASSERT_EQ(queue.gather(vectors), 4u);
  EXPECT_EQ(vectors[1].iov_base, shared.data());
  EXPECT_EQ(vectors[2].iov_base, shared.data() + 100);
  EXPECT_EQ(front(queue), "head" + numbered(10'000) + numbered(10'000).substr(100, 50) + "tail");
}

TEST(WriteQueueTest, KeepsSharedBytesAndCopiesInOrderAtEverySplit) {
  const std::string text = numbered(30'000);
  const Bytes shared(text);
  for (std::size_t step : {1u, 7u, 4064u, 29'999u, 30'000u}) {
    WriteQueue queue;
    for (std::size_t at = 0, i = 0; at < text.size(); at += 500, ++i) {
      if (i % 3 == 0) {
        append(queue, text.substr(at, 500));
      } else {
        queue.append(shared.slice(at, 500));
      }
    }
    std::string taken;
    while (!queue.empty()) {
      const std::size_t count = std::min({step, queue.size(), front(queue).size()});
      taken += front(queue).substr(0, count);
      queue.consume(count);
      ASSERT_EQ(queue.size(), text.size() - taken.size());
    }
    EXPECT_EQ(taken, text) << "in steps of " << step;
  }
}

// Shared bytes are not its own, wherever they are.
TEST(WriteQueueTest, KnowsWhatOfItIsCopied) {
  const Bytes shared(numbered(1'000));
  WriteQueue queue;
  WriteQueue other;
  EXPECT_EQ(queue.copied_size(), 0u);
  queue.append(shared);
  EXPECT_EQ(queue.copied_size(), 0u);
  append(queue, "copied");
  queue.append(shared.slice(0, 10));
  EXPECT_EQ(queue.copied_size(), 6u);
  append(other, "xy");
  other.append(shared);
  queue.append_all(other);
  EXPECT_EQ(queue.size(), 2'018u);
  EXPECT_EQ(queue.copied_size(), 8u);
  queue.consume(400);
  EXPECT_EQ(queue.copied_size(), 8u) << "a part of the first one";
  queue.consume(600 + 2);
  EXPECT_EQ(queue.copied_size(), 6u);
  queue.consume(4 + 10 + 1);
  EXPECT_EQ(queue.copied_size(), 1u);
  EXPECT_EQ(queue.size(), 1'001u);
  queue.clear();
  EXPECT_EQ(queue.copied_size(), 0u);
  append(queue, "z");
  EXPECT_EQ(queue.copied_size(), 1u);
}

TEST(WriteQueueTest, SharedBytesAreBeforeAndBehindAFile) {
  WriteQueue queue;
  queue.append(Bytes("before"));
  queue.append(FilePart{.offset = 5, .left = 10});
  queue.append(Bytes("behind"));
  EXPECT_EQ(queue.size(), 6 + WriteQueue::kFilePartSize + 6);
  EXPECT_TRUE(queue.has_files());
  EXPECT_EQ(queue.front_file(), nullptr);
  EXPECT_EQ(front(queue), "before");
  queue.consume(6);
  ASSERT_NE(queue.front_file(), nullptr);
  EXPECT_EQ(front(queue), "");
  queue.consume(10);
  EXPECT_FALSE(queue.has_files());
  EXPECT_EQ(front(queue), "behind");
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

// Two descriptors of a pipe. Their numbers tell whether they are open.
std::vector<OwnedFd> two_descriptors() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::vector<OwnedFd> both;
  for (const int end : ends) both.emplace_back(end);
  return both;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(WriteQueueTest, DescriptorsStandAloneAndAreClosedWithTheFirstByte) {
  constexpr std::size_t kTwo = 2 * DescriptorPart::kDescriptorSize;
  WriteQueue queue;
  append(queue, "before");
  std::vector<OwnedFd> first = two_descriptors();
  const int fd = first[0].get();
  queue.append(DescriptorPart{"ab", std::move(first)});
  queue.append(DescriptorPart{"cd", two_descriptors()});
  append(queue, "behind");
  EXPECT_EQ(queue.size(), 6 + 2 + 2 + 6 + 2 * kTwo);
  EXPECT_EQ(front(queue), "before");
  EXPECT_TRUE(queue.front_descriptors().empty());
  queue.consume(6);
  ASSERT_EQ(queue.front_descriptors().size(), 2u);
  EXPECT_EQ(queue.front_descriptors()[0].get(), fd);
  EXPECT_EQ(front(queue), "ab");
  queue.consume(0);
  EXPECT_TRUE(is_open(fd));
  queue.consume(1);
  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(queue.size(), 1 + 2 + 6 + kTwo);
  EXPECT_TRUE(queue.front_descriptors().empty());
  EXPECT_EQ(front(queue), "b");
  queue.consume(1);
  EXPECT_EQ(front(queue), "cd");
  queue.consume(2);
  EXPECT_EQ(front(queue), "behind");
  EXPECT_EQ(queue.size(), 6u);
}

TEST(WriteQueueTest, DescriptorsThatWaitAreClosedWithTheQueue) {
  int fds[2];
  {
    WriteQueue queue;
    WriteQueue other;
    for (int& fd : fds) {
      std::vector<OwnedFd> two = two_descriptors();
      fd = two[1].get();
      other.append(DescriptorPart{"x", std::move(two)});
    }
    queue.append_all(other);
    EXPECT_EQ(queue.size(), 2 + 4 * DescriptorPart::kDescriptorSize);
    queue.consume(1);
    EXPECT_FALSE(is_open(fds[0]));
    EXPECT_TRUE(is_open(fds[1]));
    queue.clear();
    EXPECT_FALSE(is_open(fds[1]));
    EXPECT_TRUE(queue.empty());
    std::vector<OwnedFd> last = two_descriptors();
    fds[1] = last[0].get();
    queue.append(DescriptorPart{"x", std::move(last)});
  }
  EXPECT_FALSE(is_open(fds[1]));
}

TEST(WriteQueueTest, ClearDropsAllAndMayBeUsedAgain) {
  WriteQueue queue;
  append(queue, numbered(200'000));
  queue.consume(100'000);
  queue.clear();
  EXPECT_TRUE(queue.empty());
  append(queue, "x");
  EXPECT_EQ(front(queue), "x");
}

}  // namespace
}  // namespace epore::internal
