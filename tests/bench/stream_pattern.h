#ifndef EPORE_TESTS_BENCH_STREAM_PATTERN_H_
#define EPORE_TESTS_BENCH_STREAM_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace epore::bench {

// An endless stream of bytes that looks random and repeats after a prime number of them, so that no
// message size divides it: lost, doubled, reordered and foreign bytes all show as wrong ones.
// Connections begin at different positions of it. No byte is below 0x80, where contenders know
// commands.
class StreamPattern {
 public:
  static constexpr std::size_t kPeriod = 65'521;
  static constexpr std::size_t kMaxChunk = 256 * 1024;

  StreamPattern() : bytes_(kPeriod + kMaxChunk, '\0') {
    std::uint64_t state = 1;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
      bytes_[i] = i < kPeriod ? static_cast<char>(0x80 | (state >> 56)) : bytes_[i - kPeriod];
    }
  }

  // At most kMaxChunk bytes of the stream from `position` on.
  const char* at(std::uint64_t position) const { return bytes_.data() + position % kPeriod; }

  bool matches(std::uint64_t position, const char* bytes, std::size_t size) const {
    return std::memcmp(at(position), bytes, size) == 0;
  }

 private:
  std::string bytes_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_STREAM_PATTERN_H_
