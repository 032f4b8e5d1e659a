// Requests of a Redis client: however their bytes are cut, they are the same requests.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "examples/resp.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {

std::vector<std::string> fuzz_seeds() {
  return {"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
          "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n*1\r\n$4\r\nPING\r\n",
          "GET a\r\n",
          "SET a \"text with \\\"escapes\\\" \\x00\" 'and this'\r\n",
          "*0\r\n*-1\r\n\r\n\n",
          "*1\r\n$0\r\n\r\n",
          "*1\r\n$-1\r\n",
          "*9223372036854775807\r\n",
          "*1\r\n$9223372036854775807\r\n",
          "*1\r\n$01\r\na\r\n",
          "h[^a-c]l*l?o\\*\n"};
}

}  // namespace epore

namespace {

using examples::RespParser;

constexpr std::size_t kMaxRequest = 512;

struct Parsed {
  std::vector<std::vector<std::string>> requests;
  std::string error;
  bool operator==(const Parsed&) const = default;
};

// Gives the parser `first` bytes, and then `step` more each time.
Parsed parse(std::string_view bytes, std::size_t first, std::size_t step) {
  RespParser parser(kMaxRequest);
  Parsed parsed;
  std::size_t begin = 0;
  for (std::size_t end = std::min(first, bytes.size());;) {
    const std::string window(bytes.substr(begin, end - begin));  // elsewhere in memory each time
    const RespParser::State state = parser.parse(window);
    if (state == RespParser::State::bad) {
      parsed.error = parser.error();
      CHECK(!parsed.error.empty());
      return parsed;
    }
    if (state == RespParser::State::complete) {
      CHECK_GT(parser.size(), 0u);
      CHECK_LE(parser.size(), window.size());
      std::vector<std::string>& request = parsed.requests.emplace_back();
      for (const std::string_view argument : parser.arguments()) request.emplace_back(argument);
      begin += parser.size();
      continue;
    }
    CHECK_GT(parser.wanted(), window.size());
    if (end == bytes.size()) return parsed;
    end = std::min(end + step, bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Parsed whole = parse(bytes, size, 1);
  CHECK(parse(bytes, 0, 1) == whole);
  CHECK(parse(bytes, size / 2, 3) == whole);
  const std::size_t middle = size / 2;
  (void)examples::matches(bytes.substr(0, middle), bytes.substr(middle));
  (void)examples::parse_integer(bytes);
  return 0;
}
