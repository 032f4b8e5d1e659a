// Runs a fuzz target without a fuzzer: its seeds, and mutations of them that are the same each
// time.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {
namespace {

constexpr std::size_t kLongest = 4096;

// A file with the input that runs. A CHECK that fails ends the process and leaves it.
class InputFile {
 public:
  InputFile() {
    const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    path_ = outputs != nullptr ? std::string(outputs) + "/" : testing::TempDir();
    path_ += "fuzz_input." + std::to_string(::getpid());
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    PCHECK(fd_ >= 0) << path_;
    std::cout << "if this fails, the input is in " << path_ << std::endl;
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }

  void write(const std::string& input) const {
    PCHECK(::pwrite(fd_, input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()));
    PCHECK(::ftruncate(fd_, static_cast<off_t>(input.size())) == 0);
  }

 private:
  std::string path_;
  int fd_ = -1;
};

void run(const InputFile& file, const std::string& input) {
  file.write(input);
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
  const InputFile file;
  for (const std::string& seed : seeds) run(file, seed);
  run(file, "");
  std::mt19937 random(20'000'101);  // NOLINT(cert-msc51-cpp): the same each time
  const char* const asked = std::getenv("EPORE_FUZZ_RUNS");
  const int runs = asked != nullptr ? std::atoi(asked) : FUZZ_RUNS;
  std::string input = seeds[0];
  for (int i = 0; i < runs; ++i) {
    if (random() % 4 == 0) input = seeds[random() % seeds.size()];
    input = mutate(std::move(input), seeds, random);
    run(file, input);
  }
}

}  // namespace
}  // namespace epore
