// The snippets of docs/guide/files.md, as they stand there. pages_test compares them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

epore::Task<std::size_t> count_lines(std::string path) {
  const std::string text = co_await epore::read_file(path);
  const std::ptrdiff_t lines = std::count(text.begin(), text.end(), '\n');
  co_await epore::write_file(path + ".lines", std::to_string(lines));
  co_return static_cast<std::size_t>(lines);
}

epore::Task<> serve(epore::Connection peer, std::string path) {
  const auto open = [](const std::string& name) { return epore::File::open(name); };
  const epore::File file = co_await epore::blocking(open, path);
  const std::uint64_t size = co_await file.size();
  co_await peer.write("size: " + std::to_string(size) + "\r\n\r\n");
  co_await peer.write(file, 0, size);
}

epore::Task<> pump(epore::Connection from, epore::Connection to) {
  co_await epore::splice(from, to);
  to.shut_down_write();
}

int add(int a, int b) { return a + b; }

std::string with_lines() {
  const std::string path = ::testing::TempDir() + "/epore_file_snippets";
  std::ofstream(path) << "one\ntwo\n";
  return path;
}

TEST(FileSnippets, WholeFiles) {
  epore::Runtime runtime;
  const std::string path = with_lines();
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    const std::size_t lines = co_await count_lines(path);
    EXPECT_EQ(lines, 2u);
    const std::string written = co_await epore::read_file(path + ".lines");
    EXPECT_EQ(written, "2");
  });
  EXPECT_TRUE(status.ok()) << status;
}

// A client of a proxy of the server.
TEST(FileSnippets, ConnectionsAndPumps) {
  epore::Runtime runtime;
  const std::string path = with_lines();
  absl::StatusOr<epore::Listener> server =
      runtime.listen("127.0.0.1:0", [&](epore::Connection peer) { return serve(peer, path); });
  ASSERT_TRUE(server.ok());
  const std::string address = server->address().to_string();
  absl::StatusOr<epore::Listener> proxy =
      runtime.listen("127.0.0.1:0", [&](epore::Connection client) -> epore::Task<> {
        epore::Connection origin = co_await epore::connect(address);
        co_await pump(origin, client);
      });
  ASSERT_TRUE(proxy.ok());
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    epore::Connection peer = co_await epore::connect(proxy->address().to_string());
    const epore::ByteView bytes = co_await peer.read_exactly(19);
    EXPECT_EQ(bytes.text(), "size: 8\r\n\r\none\ntwo\n");
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(FileSnippets, Lanes) {
  epore::Runtime runtime;
  absl::StatusOr<epore::Lane> disk = runtime.lane({.name = "disk", .threads = 2, .queue = 100});
  ASSERT_TRUE(disk.ok());
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    const std::string text = co_await epore::read_file("/proc/self/status", *disk);
    const int sum = co_await epore::blocking(*disk, add, 2, 3);
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(sum, 5);
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
