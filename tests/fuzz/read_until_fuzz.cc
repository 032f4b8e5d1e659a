// Connection::read_until(): however the bytes are cut, the parts are the same.
//
// An input is the delimiter's size, the delimiter, the longest part, a size of reads, and the bytes
// of the peer.

#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/testing/faulty_network.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {

std::vector<std::string> fuzz_seeds() {
  return {std::string("\1\n\20\1", 4) + "one\ntwo\n\nthree",
          std::string("\2\r\n\20\3", 5) + "GET /\r\n\r\r\n\r\n\r",
          std::string("\3aab\10\1", 6) + "aaaabaabaaaaaaaaaaab",
          std::string("\2ab\2\2", 5) + "ababaab",
          std::string("\1\0\5\1", 4) + "abcde\0",
          std::string("\1x\377\377", 4) + std::string(600, 'a') + "x"};
}

namespace {

struct Part {
  std::string bytes;
  absl::StatusCode code = absl::StatusCode::kOk;
  bool operator==(const Part&) const = default;
};

struct Case {
  std::string delimiter;
  std::size_t most = 0;
  std::size_t reads = 0;
  std::string stream;
};

Case take_apart(std::string_view bytes) {
  const auto take = [&bytes]() -> std::size_t {
    if (bytes.empty()) return 0;
    const auto first = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    return first;
  };
  Case c;
  const std::size_t size = 1 + take() % 3;
  c.delimiter = bytes.substr(0, size);
  bytes.remove_prefix(c.delimiter.size());
  if (c.delimiter.empty()) c.delimiter = "\n";
  c.most = 1 + take();
  c.reads = 1 + take() % 64;
  c.stream = bytes;
  return c;
}

// What the contract says, on all bytes at once.
std::vector<Part> expected(const Case& c) {
  std::vector<Part> parts;
  std::string_view left = c.stream;
  for (;;) {
    const std::size_t at = left.find(c.delimiter);
    const std::size_t size = at == left.npos ? left.npos : at + c.delimiter.size();
    if (size > c.most) {
      // The end of the stream comes first if fewer bytes are left than a part may have.
      const bool has_ended = left.size() < c.most;
      parts.push_back({.bytes = "",
                       .code = has_ended ? absl::StatusCode::kOutOfRange
                                         : absl::StatusCode::kResourceExhausted});
      return parts;
    }
    parts.push_back({.bytes = std::string(left.substr(0, size))});
    left.remove_prefix(size);
  }
}

// One runtime for all inputs. Its loop runs on the thread of the fuzzer.
class Reader {
 public:
  Reader() : runtime_({.dispatch = Dispatch::caller, .kernel = network_.kernel()}) {
    absl::StatusOr<Listener> listener = runtime_.listen(
        address_, [this](Connection peer) -> Task<> { co_await peer.write(stream_); });
    CHECK_OK(listener.status());
  }

  std::vector<Part> read(const Case& c) {
    stream_ = c.stream;
    network_.shrink_reads(c.reads);
    absl::StatusOr<std::vector<Part>> parts = runtime_.run(&Reader::read_parts, address_, c);
    CHECK_OK(parts.status());
    return *std::move(parts);
  }

 private:
  static Task<std::vector<Part>> read_parts(std::string address, Case c) {
    std::vector<Part> parts;
    Connection server = co_await connect(address);
    for (;;) {
      const absl::StatusOr<ByteView> part =
          co_await server.read_until(c.delimiter, c.most).result();
      if (!part.ok()) {
        parts.push_back({.bytes = "", .code = part.status().code()});
        co_return parts;
      }
      parts.push_back({.bytes = std::string(part->text())});
    }
  }

  const std::string address_ = absl::StrCat("unix:@epore-fuzz-", ::getpid());
  FaultyNetwork network_;
  std::string stream_;
  Runtime runtime_;
};

}  // namespace
}  // namespace epore

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static epore::Reader* const reader = new epore::Reader;
  const epore::Case c =
      epore::take_apart(std::string_view(reinterpret_cast<const char*>(data), size));
  const std::vector<epore::Part> want = epore::expected(c);
  const std::vector<epore::Part> got = reader->read(c);
  CHECK_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK_EQ(got[i].bytes, want[i].bytes) << "part " << i;
    CHECK(got[i].code == want[i].code) << "part " << i << ": " << got[i].code;
  }
  return 0;
}
