#ifndef EPORE_TESTS_BENCH_MICRO_LOAD_H_
#define EPORE_TESTS_BENCH_MICRO_LOAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/bench/stopwatch.h"

// What both sides of micro do in the same way.
namespace epore::bench {

// Deadlines that are neither in order nor the same: the generator of "Numerical Recipes".
class Scatter {
 public:
  // From 0 to below `end`.
  std::uint32_t below(std::uint32_t end) {
    state_ = state_ * 1664525 + 1013904223;
    return static_cast<std::uint32_t>(std::uint64_t{state_} * end >> 32);
  }

 private:
  std::uint32_t state_ = 1;
};

inline constexpr std::size_t kCacheLine = 64;

// Counts closures that have run, on whatever threads.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}

  // How many are left. 0: this was the last one.
  int one_less() { return left_.fetch_sub(1, std::memory_order_acq_rel) - 1; }
  int left() const { return left_.load(std::memory_order_acquire); }

 private:
  std::atomic<int> left_;
};

// `burst` closures at a time post themselves: the last of a burst to run posts the next. `post`
// takes a closure.
template <typename Post>
class BurstLoad {
 public:
  BurstLoad(int count, int burst, Post post) : left_(count), burst_(burst), post_(post) {}

  // On the side's thread.
  void next() {
    if (left_ <= 0) {
      done_.Notify();
      return;
    }
    left_ -= burst_;
    pending_.store(burst_, std::memory_order_relaxed);
    // The last may run, and end all of this, while it is being posted.
    const int burst = burst_;
    const Post post = post_;
    for (int i = 0; i < burst; ++i) {
      post([this] {
        if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) next();
      });
    }
  }

  void wait() { done_.WaitForNotification(); }

 private:
  int left_;
  const int burst_;
  Post post_;
  std::atomic<int> pending_{0};
  absl::Notification done_;
};

template <typename Post>
Stopwatch::Time run_burst_load(int count, int burst, Post post) {
  BurstLoad<Post> load(count, burst, post);
  const Stopwatch watch;
  post([&load] { load.next(); });
  load.wait();
  return watch.so_far();
}

// `threads` threads post `count` closures together, and give way while many are waiting, so that
// the memory of a backlog is not what is measured. Nor is the counting: what those that post read
// and what those that run write are cache lines of their own.
template <typename Post>
Stopwatch::Time run_thread_load(int threads, int count, Post post) {
  static constexpr int kBacklog = 2048;
  static constexpr int kBetweenLooks = 256;
  const int each = count / threads;
  struct Progress {
    explicit Progress(int all) : left(all), blocks((all + kBetweenLooks - 1) / kBetweenLooks) {}

    alignas(kCacheLine) Countdown left;
    alignas(kCacheLine) Countdown blocks;  // of kBetweenLooks that have run, whichever they were
    alignas(kCacheLine) std::atomic<int> posted{0};
    alignas(kCacheLine) absl::Notification done;
  } progress(each * threads);
  const int blocks = progress.blocks.left();
  std::latch begin(threads + 1);
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      begin.arrive_and_wait();
      for (int j = 0; j < each; ++j) {
        if (j % kBetweenLooks == 0) {
          const int posted = progress.posted.fetch_add(kBetweenLooks, std::memory_order_relaxed);
          const auto run = [&] { return (blocks - progress.blocks.left()) * kBetweenLooks; };
          while (posted - run() > kBacklog) std::this_thread::yield();
        }
        post([&progress] {
          if (progress.left.one_less() % kBetweenLooks != 0) return;
          if (progress.blocks.one_less() == 0) progress.done.Notify();  // nobody uses it any more
        });
      }
    });
  }
  begin.arrive_and_wait();
  const Stopwatch watch;
  progress.done.WaitForNotification();
  const Stopwatch::Time time = watch.so_far();
  for (std::thread& thread : all) thread.join();
  return time;
}

// Calls `batch(size)` on the side's thread until `count` operations are done, kTimersAtOnce at a
// time. `post` as above.
template <typename Post, typename Batch>
Stopwatch::Time run_batches(int count, int size, Post post, Batch batch) {
  absl::Notification done;
  struct Loop {
    int left;
    int size;
    Post post;
    Batch batch;
    absl::Notification& done;

    void next() {
      if (left <= 0) {
        done.Notify();
        return;
      }
      batch(size);
      left -= size;
      const Post poster = post;  // as above
      poster([this] { next(); });
    }
  } loop{count, size, post, batch, done};
  const Stopwatch watch;
  post([&loop] { loop.next(); });
  done.WaitForNotification();
  return watch.so_far();
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_LOAD_H_
