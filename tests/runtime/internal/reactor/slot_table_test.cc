#include "epore/runtime/internal/reactor/slot_table.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "epore/runtime/internal/reactor/retired_list.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"

namespace epore::internal {
namespace {

class SlotTableTest : public CoreTest {
 protected:
  Ref<TestRegistration> make() {
    return Ref<TestRegistration>::adopt(new TestRegistration(reactor()));
  }
};

TEST_F(SlotTableTest, ATokenFindsItsRegistrationUntilItIsRetired) {
  SlotTable table;
  const Ref<TestRegistration> one = make();
  const Ref<TestRegistration> two = make();
  ASSERT_TRUE(table.acquire(*one));
  ASSERT_TRUE(table.acquire(*two));
  EXPECT_NE(one->token(), two->token());
  EXPECT_EQ(table.find(one->token()), one.get());
  EXPECT_EQ(table.find(two->token()), two.get());
  table.retire(*one);
  EXPECT_EQ(table.find(one->token()), nullptr);
  EXPECT_EQ(table.find(two->token()), two.get());
  table.reclaim(*one);
  table.retire(*two);
  table.reclaim(*two);
}

TEST_F(SlotTableTest, TokensThatNobodyHasFindNothing) {
  SlotTable table;
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32,
                              std::uint64_t{0xffffffff} << 32, ~std::uint64_t{0}}) {
    EXPECT_EQ(table.find(Token{value}), nullptr) << value;
  }
}

TEST_F(SlotTableTest, ASlotIsNotReusedBeforeItIsReclaimed) {
  SlotTable table;
  const Ref<TestRegistration> first = make();
  ASSERT_TRUE(table.acquire(*first));
  table.retire(*first);
  const Ref<TestRegistration> second = make();
  ASSERT_TRUE(table.acquire(*second));
  EXPECT_NE(first->token().value >> 32, second->token().value >> 32);
  table.reclaim(*first);
  const Ref<TestRegistration> third = make();
  ASSERT_TRUE(table.acquire(*third));
  EXPECT_EQ(first->token().value >> 32, third->token().value >> 32);
  for (const Ref<TestRegistration>& one : {second, third}) {
    table.retire(*one);
    table.reclaim(*one);
  }
}

TEST_F(SlotTableTest, NoneOfTenThousandTenantsOfASlotIsFoundByTheTokenOfAnother) {
  SlotTable table;
  std::vector<Token> tokens;
  for (int i = 0; i < 10'000; ++i) {
    const Ref<TestRegistration> tenant = make();
    ASSERT_TRUE(table.acquire(*tenant));
    EXPECT_EQ(tenant->token().value >> 32, 0u);
    for (std::size_t j = tokens.size(); j > 0 && j + 20 > tokens.size(); --j) {
      EXPECT_EQ(table.find(tokens[j - 1]), nullptr);
    }
    EXPECT_EQ(table.find(tenant->token()), tenant.get());
    tokens.push_back(tenant->token());
    table.retire(*tenant);
    table.reclaim(*tenant);
  }
}

TEST_F(SlotTableTest, TheSlotKeepsItsRegistrationUntilItIsReclaimed) {
  SlotTable table;
  bool is_destroyed = false;
  TestRegistration* plain;
  {
    const Ref<TestRegistration> registration = make();
    registration->when_destroyed = [&] { is_destroyed = true; };
    plain = registration.get();
    ASSERT_TRUE(table.acquire(*registration));
    table.retire(*registration);
  }
  EXPECT_FALSE(is_destroyed);
  table.reclaim(*plain);
  EXPECT_TRUE(is_destroyed);
}

TEST_F(SlotTableTest, LiveAreThoseThatAreNotRetired) {
  SlotTable table;
  std::vector<Ref<TestRegistration>> all;
  for (int i = 0; i < 3000; ++i) {  // several chunks
    all.push_back(make());
    ASSERT_TRUE(table.acquire(*all.back()));
  }
  std::set<Registration*> expected;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 3 == 0) {
      table.retire(*all[i]);
    } else {
      expected.insert(all[i].get());
    }
  }
  std::set<Registration*> live;
  table.for_each_live([&](Registration& one) { live.insert(&one); });
  EXPECT_EQ(live, expected);
}

TEST_F(SlotTableTest, WhatIsRetiredByManyThreadsIsTakenOnceByOne) {
  constexpr int kThreads = 3;
  constexpr int kEach = 2000;
  SlotTable table;
  RetiredList retired;
  std::atomic<int> destroyed{0};
  std::vector<std::thread> threads;
  std::atomic<int> running{kThreads};
  Reactor& home = reactor();
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        auto one = Ref<TestRegistration>::adopt(new TestRegistration(home));
        one->when_destroyed = [&] { destroyed.fetch_add(1); };
        EXPECT_TRUE(table.acquire(*one));
        table.retire(*one);
        retired.push(*one);
      }
      running.fetch_sub(1);
    });
  }
  int taken = 0;
  const auto take = [&] {
    retired.take([&](Registration& registration) {
      EXPECT_EQ(table.find(registration.token()), nullptr);
      table.reclaim(registration);
      ++taken;
    });
  };
  while (running.load() > 0) take();
  for (std::thread& thread : threads) thread.join();
  take();
  EXPECT_EQ(taken, kThreads * kEach);
  EXPECT_EQ(destroyed.load(), kThreads * kEach);
  table.for_each_live([](Registration&) { ADD_FAILURE() << "one lives"; });
}

TEST_F(SlotTableTest, F04AnEventThatComesAtOnceFindsTheRegistrationWhole) {
  // The poll thread of this test looks up tokens as fast as another thread publishes them.
  SlotTable table;
  RetiredList retired;
  std::atomic<std::uint64_t> published{~std::uint64_t{0}};
  std::atomic<bool> is_over{false};
  Reactor& home = reactor();
  std::thread publisher([&] {
    for (int i = 0; i < 5000; ++i) {
      auto one = Ref<TestRegistration>::adopt(new TestRegistration(home));
      EXPECT_TRUE(table.acquire(*one));
      // As an event carries it: without an order of its own.
      published.store(one->token().value, std::memory_order_relaxed);
      if (i % 2 == 0) {
        table.retire(*one);
        retired.push(*one);
      }
    }
    is_over.store(true);
  });
  while (!is_over.load()) {
    const Token token{published.load(std::memory_order_relaxed)};
    Registration* found = table.find(token);
    if (found != nullptr) {
      EXPECT_EQ(found->token(), token);
    }
    retired.take([&](Registration& registration) { table.reclaim(registration); });
  }
  publisher.join();
  retired.take([&](Registration& registration) { table.reclaim(registration); });
}

// The slots of all that share_connections() finds, with their times.
std::set<std::pair<const Registration*, std::uint32_t>> live(SlotTable& table) {
  std::set<std::pair<const Registration*, std::uint32_t>> all;
  std::uint32_t slot = 0;
  do {
    std::array<SlotTable::Live, SlotTable::kAtOnce> found;
    std::size_t count = 0;
    slot = table.share_connections(slot, found, count);
    for (std::size_t i = 0; i < count; ++i) {
      all.emplace(found[i].registration.get(), found[i].since);
    }
  } while (slot != 0);
  return all;
}

TEST_F(SlotTableTest, ShareLiveFindsEachThatIsNotRetiredOnce) {
  SlotTable table;
  EXPECT_TRUE(live(table).empty());
  std::vector<Ref<TestRegistration>> all;
  std::set<std::pair<const Registration*, std::uint32_t>> expected;
  for (std::uint32_t i = 0; i < 200; ++i) {
    all.push_back(make());
    ASSERT_TRUE(table.acquire(*all.back(), std::int64_t{i} << SlotTable::kTickBits));
    expected.emplace(all.back().get(), i);
  }
  EXPECT_EQ(live(table), expected);
  for (std::uint32_t i = 0; i < 200; i += 3) {
    table.retire(*all[i]);
    if (i % 2 == 0) table.reclaim(*all[i]);
    expected.erase({all[i].get(), i});
  }
  EXPECT_EQ(live(table), expected);
  for (std::uint32_t i = 0; i < 200; ++i) {
    if (i % 3 != 0) table.retire(*all[i]);
    if (i % 6 != 0) table.reclaim(*all[i]);
  }
  EXPECT_TRUE(live(table).empty());
}

// One thread looks while another one frees what it finds.
TEST_F(SlotTableTest, ShareLiveFindsNothingThatIsGone) {
  SlotTable table;
  std::atomic<bool> is_over{false};
  std::thread looker([&] {
    while (!is_over.load(std::memory_order_acquire)) (void)live(table);
  });
  for (int i = 0; i < 2000; ++i) {
    const Ref<TestRegistration> one = make();
    ASSERT_TRUE(table.acquire(*one));
    TestRegistration& registration = *one;
    table.retire(registration);
    table.reclaim(registration);
  }
  is_over.store(true, std::memory_order_release);
  looker.join();
}

}  // namespace
}  // namespace epore::internal
