#ifndef EPORE_TESTS_BENCH_MICRO_LOAD_H_
#define EPORE_TESTS_BENCH_MICRO_LOAD_H_

#include <atomic>
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

// Counts closures that have run, on whatever threads.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}

  // True for the last one.
  bool one_less() { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
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
// the memory of a backlog is not what is measured.
template <typename Post>
Stopwatch::Time run_thread_load(int threads, int count, Post post) {
  constexpr int kBacklog = 4096;
  constexpr int kBetweenLooks = 256;
  const int each = count / threads;
  Countdown left(each * threads);
  std::atomic<int> posted{0};
  absl::Notification done;
  std::latch begin(threads + 1);
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      begin.arrive_and_wait();
      for (int j = 0; j < each; ++j) {
        if (j % kBetweenLooks == 0) {
          posted.fetch_add(kBetweenLooks, std::memory_order_relaxed);
          while (posted.load(std::memory_order_relaxed) - (each * threads - left.left()) >
                 kBacklog) {
            std::this_thread::yield();
          }
        }
        post([&left, &done] {
          if (left.one_less()) done.Notify();
        });
      }
    });
  }
  begin.arrive_and_wait();
  const Stopwatch watch;
  done.WaitForNotification();
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
