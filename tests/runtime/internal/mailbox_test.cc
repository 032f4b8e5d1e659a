#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/connection.h"
#include "runtime/internal/mail.h"

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
  Connection none;
  int count = 0;
  while (const auto mail = std::unique_ptr<Mail>(mailbox.pop())) {
    mail->deliver();
    ++count;
  }
  return count;
}

TEST(MailboxTest, MailIsDeliveredInTheOrderOfThePushes) {
  Mailbox mailbox;
  std::vector<int> delivered;
  EXPECT_EQ(mailbox.pop(), nullptr);
  for (int i = 0; i < 3; ++i) mailbox.push(new NumberMail(delivered, i));
  Connection none;
  std::unique_ptr<Mail>(mailbox.pop())->deliver();
  mailbox.push(new NumberMail(delivered, 3));  // behind those that were taken with the first
  EXPECT_EQ(deliver_all(mailbox), 3);
  EXPECT_EQ(delivered, (std::vector<int>{0, 1, 2, 3}));
}

TEST(MailboxTest, WhatTheRunnerLeavesForItselfComesInItsOrder) {
  Mailbox mailbox;
  std::vector<int> delivered;
  const auto mail = [&](int number) { return new NumberMail(delivered, number); };
  mailbox.push(mail(0));
  EXPECT_TRUE(mailbox.fetch());
  std::unique_ptr<Mail>(mailbox.pop_fetched())->deliver();
  EXPECT_TRUE(mailbox.push_own(mail(1)));
  EXPECT_FALSE(mailbox.push_own(mail(2)));
  EXPECT_EQ(mailbox.pop_fetched(), nullptr) << "for the next run";
  mailbox.push(mail(3));  // its run is over, and the same thread leaves more
  EXPECT_FALSE(mailbox.empty());
  EXPECT_EQ(deliver_all(mailbox), 3);
  EXPECT_EQ(delivered, std::vector<int>({0, 1, 2, 3}));
  EXPECT_TRUE(mailbox.push_own(mail(4)));
  EXPECT_FALSE(mailbox.empty());  // and destroyed with the box
}

TEST(MailboxTest, MailThatIsNeverDeliveredIsDestroyedWithTheBox) {
  std::atomic<int> destroyed{0};
  std::vector<int> delivered;
  {
    Mailbox mailbox;
    for (int i = 0; i < 3; ++i) mailbox.push(new NumberMail(delivered, i, &destroyed));
    delete mailbox.pop();  // the others are in the runner's list now,
    mailbox.push(new NumberMail(delivered, 3, &destroyed));  // and this one is not
  }
  EXPECT_EQ(destroyed.load(), 4);
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
        mailbox.push(new NumberMail(delivered[static_cast<std::size_t>(t)], i));
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
