#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_SHARING_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_SHARING_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace epore::internal {

// The time that workers have spent in shared runs, in nanoseconds.
struct SharedTime {
  std::int64_t cpu = 0;
  std::int64_t asleep = 0;  // waiting for a lock, or blocked

  void add(const SharedTime& other) {
    cpu += other.cpu;
    asleep += other.asleep;
  }
};

// A Sharing decides whether a leader shares a part of its turn with workers. It estimates the cost
// of a run, and whether sharing gains anything. It is told the time and never reads a clock. The
// leader only.
//
// A window is some runs of the leader in a row. The cost of a run is the mean of a window. The
// lower of the last two estimates counts, because a thread loses its processor now and then. Ready
// and submitted work have a cost each. A callback that sends to all connections is one long run,
// and each connection then has a short one.
//
// Callbacks that wait for one lock are not faster on two threads. If workers sleep in shared runs,
// sharing pauses, and each pause is twice as long as the one before. If they do not sleep for as
// long as the last pause was, the next one is half as long.
class Sharing {
 public:
  enum class Source : std::uint8_t { ready, submitted };

  // `helpers` is the most workers that a leader shares with.
  explicit Sharing(int helpers) : helpers_(helpers) {}

  bool has_helpers() const { return helpers_ > 0; }

  // A turn begins, or the leader has taken the lead over.
  void begin(std::int64_t now) {
    window_began_ = now;
    window_runs_ = 0;
  }

  // The next runs are of this source.
  void runs(Source source) { source_ = source; }

  // The leader has run something. True: the window ends here, so call estimate().
  bool has_run() { return ++window_runs_ >= kWindow && has_helpers(); }

  // That run counts as `runs` more.
  void has_also_run(std::int64_t runs) { window_runs_ += runs; }

  // The turn ends. True: the window ends here, because it has more than one run. One run is enough
  // if others were shared: an estimate that was too high must come down again.
  bool end_turn() {
    const bool is_window = has_helpers() && window_runs_ > (has_shared_ ? 0 : 1);
    has_shared_ = false;
    return is_window;
  }

  // A window has ended, and the next one begins.
  void estimate(std::int64_t now);

  // Whether `runs` runs are worth a wake of a worker.
  bool is_worth(Source source, std::size_t runs, std::int64_t now) const {
    const std::int64_t cost = cost_of(source).lower;
    return cost >= kShortest && static_cast<std::int64_t>(runs) > kWorth / cost &&
           now >= pause_ends_;
  }

  // Returns how many of `runs` runs are for workers. The leader keeps at least one.
  std::size_t part_of(Source source, std::size_t runs, std::int64_t now) const;

  // The leader has shared something, and takes back what no worker has taken.
  void shared(Source source) {
    has_shared_ = true;
    shared_source_ = source;
  }
  void takes_back() { source_ = shared_source_; }

  // Workers have run some of the shared work. Returns false if sharing pauses from here on.
  bool helped(SharedTime time, std::int64_t now);

 private:
  // The nanoseconds of work that are worth a wake, which costs 5 us on each side.
  static constexpr std::int64_t kWorth = 100'000;

  // The nanoseconds of the shortest run that is worth the way to a worker. Two locks, a clock, and
  // memory in the cache of another processor cost up to 1 us.
  static constexpr std::int64_t kShortest = 10'000;

  static constexpr std::int64_t kWindow = 16;  // runs

  // Whether sharing pauses is judged after so many nanoseconds in runs of workers.
  static constexpr std::int64_t kJudged = 1'000'000;
  static constexpr std::int64_t kFirstPause = 100'000'000;
  static constexpr std::int64_t kLongestPause = 5'000'000'000;

  // The cost of a run in nanoseconds.
  struct Cost {
    std::int64_t last = 0;   // of the last window
    std::int64_t lower = 0;  // the lower one of the last two windows
  };
  const Cost& cost_of(Source source) const { return costs_[static_cast<std::size_t>(source)]; }

  const std::int64_t helpers_;

  std::int64_t window_began_ = 0;
  std::int64_t window_runs_ = 0;
  std::array<Cost, 2> costs_ = {};
  Source source_ = Source::ready;
  Source shared_source_ = Source::ready;
  bool has_shared_ = false;  // in this turn

  SharedTime helped_;
  std::int64_t pause_ = kFirstPause;  // the length of the next pause
  std::int64_t pause_ends_ = 0;
  std::int64_t shorter_at_ = 0;  // pause_ halves then, if workers do not sleep
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_SHARING_H_
