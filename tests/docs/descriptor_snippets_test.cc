// The snippets of docs/guide/descriptors.md, as they stand there. pages_test compares them.

#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

struct Names {
  std::string first;
  absl::Notification has_one;
};

void read_changes(int fd, Names& names) {
  alignas(inotify_event) char buffer[4096];
  if (::read(fd, buffer, sizeof buffer) <= 0 || names.has_one.HasBeenNotified()) return;
  names.first = reinterpret_cast<const inotify_event*>(buffer)->name;
  names.has_one.Notify();
}

TEST(DescriptorSnippets, Inotify) {
  const int changes = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const std::string folder = ::testing::TempDir();
  ASSERT_GE(::inotify_add_watch(changes, folder.c_str(), IN_CLOSE_WRITE), 0);
  Names names;
  epore::Runtime runtime;
  absl::StatusOr<epore::Watch> watch =
      runtime.watch(changes, epore::Interest::readable(),
                    [&](epore::Watch&, absl::StatusOr<epore::Readiness> ready) {
                      if (!ready.ok()) return;  // the watch has ended: see below
                      read_changes(changes, names);
                    });
  ASSERT_TRUE(watch.ok()) << watch.status();
  const std::string name = "epore_descriptor_snippets_" + std::to_string(::getpid());
  std::ofstream(folder + "/" + name) << "x";
  names.has_one.WaitForNotification();
  EXPECT_FALSE(names.first.empty());
  ::unlink((folder + "/" + name).c_str());
  watch->set_interest(epore::Interest::readable() | epore::Interest::writable());
  watch->cancel();
  ::close(changes);
}

epore::Task<std::uint64_t> next_tick(int timer) {
  co_await epore::readable(timer);
  std::uint64_t ticks = 0;
  if (::read(timer, &ticks, sizeof ticks) < 0) co_await absl::UnavailableError("not yet");
  co_return ticks;
}

TEST(DescriptorSnippets, Timerfd) {
  const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const itimerspec soon = {{}, {0, 1}};
  ASSERT_EQ(::timerfd_settime(timer, 0, &soon, nullptr), 0);
  epore::Runtime runtime;
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    auto ticks = co_await epore::within(absl::Seconds(5), next_tick(timer)).result();
    EXPECT_EQ(ticks.value_or(0), 1u);
  });
  EXPECT_TRUE(status.ok()) << status;
  ::close(timer);
}

}  // namespace
