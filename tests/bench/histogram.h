#ifndef EPORE_TESTS_BENCH_HISTOGRAM_H_
#define EPORE_TESTS_BENCH_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace epore::bench {

// Counts values of any size with a relative error below 1/128: buckets of width one up to 255, then
// 128 of equal width in each power of two (the scheme of HdrHistogram).
//
// record() is some shifts and an increment: cheap enough for every message. 60 KB, of which a run
// touches a little.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  void record(std::uint64_t value) {
    ++counts_[bucket_of(value)];
    ++count_;
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }

  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const { return max_; }

  // The least value that at least `fraction` of all do not exceed, rounded up to the end of its
  // bucket, yet never above max(). 0 when empty.
  std::uint64_t quantile(double fraction) const;

 private:
  static constexpr int kPrecisionBits = 7;
  static constexpr std::uint64_t kPerPower = 1u << kPrecisionBits;
  static constexpr std::size_t kBuckets = (64 - kPrecisionBits + 1) * kPerPower;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t bucket_end(std::size_t bucket);

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

inline std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < 2 * kPerPower) return value;
  const int shift = 63 - __builtin_clzll(value) - kPrecisionBits;
  return static_cast<std::size_t>(shift) * kPerPower + (value >> shift);
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_HISTOGRAM_H_
