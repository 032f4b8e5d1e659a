#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "epore/runtime/internal/stream/mail.h"
#include "gtest/gtest.h"

namespace epore::internal {
namespace {

class NumberMail : public Mail {
 public:
  NumberMail(std::vector<int>& delivered, int number, std::atomic<int>* destroyed = nullptr)
      : delivered_(delivered), number_(number), destroyed_(destroyed) {}
  ~NumberMail() override {
    if (destroyed_ != nullptr) destroyed_->fetch_add(1);
  }
  void deliver() override { delivered_.push_back(number_); }

 private:
  std::vector<int>& delivered_;
  const int number_;
  std::atomic<int>* const destroyed_;
};

int deliver_all(Mailbox& mailbox) {
  int count = 0;
  for (MailList list = mailbox.take(); !list.empty(); ++count) list.pop()->deliver();
  return count;
}

TEST(MailboxTest, MailIsDeliveredInTheOrderOfThePushes) {
  Mailbox mailbox;
  std::vector<int> delivered;
  const auto mail = [&](int number) { return std::make_unique<NumberMail>(delivered, number); };
  EXPECT_TRUE(mailbox.take().empty());
  for (int i = 0; i < 3; ++i) mailbox.push(mail(i));
  MailList list = mailbox.take();
  list.pop()->deliver();
  mailbox.push(mail(3));  // behind those that were taken already
  while (!list.empty()) list.pop()->deliver();
  EXPECT_EQ(delivered, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(deliver_all(mailbox), 1);
  EXPECT_EQ(delivered, (std::vector<int>{0, 1, 2, 3}));
}

TEST(MailboxTest, WhatTheRunnerLeavesForItselfComesInItsOrder) {
  Mailbox mailbox;
  std::vector<int> delivered;
  const auto mail = [&](int number) { return std::make_unique<NumberMail>(delivered, number); };
  mailbox.push(mail(0));
  MailList list = mailbox.take();
  list.pop()->deliver();
  EXPECT_TRUE(mailbox.push_own(mail(1)));
  EXPECT_FALSE(mailbox.push_own(mail(2)));
  EXPECT_TRUE(list.empty()) << "for the next run";
  mailbox.push(mail(3));  // its run is over, and the same thread leaves more
  EXPECT_FALSE(mailbox.empty());
  EXPECT_EQ(deliver_all(mailbox), 3);
  EXPECT_EQ(delivered, std::vector<int>({0, 1, 2, 3}));
  EXPECT_TRUE(mailbox.push_own(mail(4)));
  EXPECT_FALSE(mailbox.empty());  // and destroyed with the box
}

TEST(MailboxTest, MailThatIsNeverDeliveredIsDestroyedWithWhatHoldsIt) {
  std::atomic<int> destroyed{0};
  std::vector<int> delivered;
  const auto mail = [&](int number) {
    return std::make_unique<NumberMail>(delivered, number, &destroyed);
  };
  {
    Mailbox mailbox;
    for (int i = 0; i < 3; ++i) mailbox.push(mail(i));
    { const MailList list = mailbox.take(); }
    EXPECT_EQ(destroyed.load(), 3);
    mailbox.push(mail(3));
    (void)mailbox.push_own(mail(4));
  }
  EXPECT_EQ(destroyed.load(), 5);
  EXPECT_TRUE(delivered.empty());
}

TEST(MailboxTest, MailOfEachThreadIsDeliveredInItsOrder) {
  constexpr int kThreads = 3;
  constexpr int kEach = 3000;
  Mailbox mailbox;
  std::vector<std::vector<int>> delivered(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        mailbox.push(std::make_unique<NumberMail>(delivered[static_cast<std::size_t>(t)], i));
      }
    });
  }
  for (int left = kThreads * kEach; left > 0;) left -= deliver_all(mailbox);
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int>& numbers : delivered) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kEach));
    for (int i = 0; i < kEach; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

}  // namespace
}  // namespace epore::internal
