// Shared bytes by themselves.

#include "epore/runtime/bytes.h"

#include <array>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/heap.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

TEST(Bytes, OneThatWasMovedFromIsEmpty) {
  Bytes from(std::string(1000, 'x'));
  Bytes to = std::move(from);
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(from.data(), nullptr);
  EXPECT_EQ(to.size(), 1000u);

  Bytes other(std::string(500, 'y'));
  other = std::move(to);
  EXPECT_TRUE(to.empty());
  EXPECT_EQ(to.data(), nullptr);
  EXPECT_EQ(other.text(), std::string(1000, 'x'));
  Bytes& itself = other;
  other = std::move(itself);
  EXPECT_EQ(other.size(), 1000u);
}

TEST(BytesTest, WithoutAnyThereIsNoMemory) {
  const ScopedHeapCount heap;
  const Bytes none;
  const Bytes of_nothing{ByteView()};
  const Bytes of_no_text{std::string()};
  for (const Bytes& bytes : {none, of_nothing, of_no_text, none.slice(0), none.slice(5, 5)}) {
    EXPECT_TRUE(bytes.empty());
    EXPECT_EQ(bytes.size(), 0u);
    EXPECT_EQ(bytes.text(), "");
    EXPECT_FALSE(ByteView(bytes));
  }
  EXPECT_EQ(heap.so_far().allocations, 0u);
}

TEST(BytesTest, AreACopyOfTheirOwn) {
  std::string text = "some text";
  const Bytes bytes(text);
  text = "other";
  EXPECT_EQ(bytes.text(), "some text");
  EXPECT_EQ(bytes.size(), 9u);
  EXPECT_EQ(ByteView(bytes).text(), "some text");
  const std::array<std::byte, 2> raw = {std::byte{0}, std::byte{255}};
  EXPECT_EQ(Bytes(raw).text(), std::string_view("\0\xff", 2));
  EXPECT_EQ(Bytes("a literal").text(), "a literal");
}

TEST(BytesTest, TakeOverTheMemoryOfAString) {
  std::string text(1'000, 'x');
  const void* const memory = text.data();
  const Bytes bytes(std::move(text));
  EXPECT_EQ(static_cast<const void*>(bytes.data()), memory);
  EXPECT_EQ(bytes.text(), std::string(1'000, 'x'));
  EXPECT_EQ(Bytes(std::string("short")).text(), "short");
}

TEST(BytesTest, ASliceIsAPartOfTheSameMemory) {
  const Bytes bytes("0123456789");
  EXPECT_EQ(bytes.slice(3, 4).text(), "3456");
  EXPECT_EQ(bytes.slice(3, 4).data(), bytes.data() + 3);
  EXPECT_EQ(bytes.slice(8).text(), "89");
  EXPECT_EQ(bytes.slice(8, 100).text(), "89");
  EXPECT_EQ(bytes.slice(2, 6).slice(1, 2).text(), "34");
  EXPECT_TRUE(bytes.slice(10).empty());
  EXPECT_TRUE(bytes.slice(11, 1).empty());
  EXPECT_TRUE(bytes.slice(4, 0).empty());
}

TEST(BytesTest, AreOneAllocationForAllHoldersAndTheLastOneFreesIt) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  std::vector<Bytes> holders;
  holders.reserve(1'001);
  const std::string text(1'000, 'x');
  const ScopedHeapCount heap;
  {
    const Bytes bytes(text);
    for (int i = 0; i < 1'000; ++i) holders.push_back(bytes);
  }
  holders.push_back(holders.back().slice(10, 10));
  EXPECT_EQ(heap.so_far().allocations, 1u);
  EXPECT_GE(heap.so_far().bytes, 1'000);
  holders.erase(holders.begin(), holders.begin() + 1'000);
  EXPECT_EQ(holders[0].text(), std::string(10, 'x'));
  EXPECT_GE(heap.so_far().bytes, 1'000) << "a slice keeps all";
  holders.clear();
  EXPECT_EQ(heap.so_far().bytes, 0);
}

TEST(BytesTest, WithoutMemoryNothingIsMade) {
  const std::string text(1'000, 'x');
  ScarceMemory::fail(1);
  EXPECT_THROW(Bytes{text}, std::bad_alloc);
  ScarceMemory::stop();
  std::string taken(text);
  ScarceMemory::fail(1);
  EXPECT_THROW(Bytes{std::move(taken)}, std::bad_alloc);
  ScarceMemory::stop();
}

TEST(BytesTest, AreHeldByManyThreads) {
  std::optional<Bytes> bytes(std::in_place, std::string_view("the same for all"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([held = *bytes] {
      for (int k = 0; k < 1'000; ++k) {
        const Bytes copy = held;
        EXPECT_EQ(copy.slice(4, 4).text(), "same");
      }
    });
  }
  bytes.reset();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace epore
