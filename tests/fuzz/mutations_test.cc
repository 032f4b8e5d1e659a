// Runs a fuzz target without a fuzzer: its seeds, and mutations of them that are the same each
// time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {
namespace {

constexpr std::size_t kLongest = 4096;

void run(const std::string& input) {
  // A copy of the exact size, so that AddressSanitizer sees a read behind its end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  (void)LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// Bytes that mean something in one of the formats.
char special(std::mt19937& random) {
  constexpr char kBytes[] = "\0\xFF\x7F\x80\xC0\x0C\r\n \t:*$+-0123456789abfxG[]%@/.\\\"'";
  return kBytes[random() % (sizeof kBytes - 1)];
}

std::string mutate(std::string bytes, const std::vector<std::string>& seeds, std::mt19937& random) {
  const std::size_t changes = 1 + random() % 8;
  for (std::size_t i = 0; i < changes; ++i) {
    const std::size_t at = random() % (bytes.size() + 1);
    const std::size_t size = std::min<std::size_t>(random() % 16, bytes.size() - at);
    switch (random() % 8) {
      case 0:
        bytes.insert(at, 1 + random() % 4, special(random));
        break;
      case 1:
        bytes.erase(at, size);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, size));
        break;
      case 3: {
        const std::string& other = seeds[random() % seeds.size()];
        bytes = bytes.substr(0, at) + other.substr(random() % (other.size() + 1));
        break;
      }
      case 4:
        bytes.resize(at);
        break;
      case 5:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random());
        break;
      case 6:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      default:
        if (at < bytes.size()) bytes[at] = special(random);
    }
    bytes.resize(std::min(bytes.size(), kLongest));
  }
  return bytes;
}

TEST(FuzzTest, SeedsAndTheirMutationsBreakNothing) {
  const std::vector<std::string> seeds = fuzz_seeds();
  ASSERT_FALSE(seeds.empty());
  for (const std::string& seed : seeds) run(seed);
  run("");
  std::mt19937 random(20'000'101);  // NOLINT(cert-msc51-cpp): the same each time
  const char* const asked = std::getenv("EPORE_FUZZ_RUNS");
  const int runs = asked != nullptr ? std::atoi(asked) : FUZZ_RUNS;
  std::string input = seeds[0];
  for (int i = 0; i < runs; ++i) {
    if (random() % 4 == 0) input = seeds[random() % seeds.size()];
    input = mutate(std::move(input), seeds, random);
    SCOPED_TRACE(i);
    run(input);
  }
}

}  // namespace
}  // namespace epore
