#include "tests/bench/leaked_servers.h"

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// All processes that may be looked at.
std::vector<pid_t> processes(const std::string& proc) {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(proc, error)) {
    pid_t pid;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) pids.push_back(pid);
  }
  return pids;
}

// From "PID (NAME) STATE PARENT ...", where a name may hold anything.
std::optional<pid_t> parent_of(const fs::path& process) {
  const std::string stat = read_all(process / "stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string_view> fields =
      absl::StrSplit(std::string_view(stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  pid_t parent;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[1], &parent)) return std::nullopt;
  return parent;
}

// "echo_epore" if it is a contender that was started by a harness which is its parent no more.
std::string leaked_name(const fs::path& process) {
  const std::string command = read_all(process / "cmdline");
  const std::vector<std::string_view> words = absl::StrSplit(command, '\0');
  const std::string name = fs::path(words[0]).filename().string();
  if (!absl::StartsWith(name, "echo_")) return "";
  for (std::string_view word : words) {
    pid_t harness;
    if (!absl::ConsumePrefix(&word, "--parent=") || !absl::SimpleAtoi(word, &harness)) continue;
    const std::optional<pid_t> parent = parent_of(process);
    return parent && *parent != harness ? name : "";
  }
  return "";
}

std::set<std::string> sockets_of(pid_t pid) {
  std::set<std::string> sockets;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error)) {
    std::error_code gone;
    sockets.insert(fs::read_symlink(entry.path(), gone).string());
  }
  return sockets;
}

// "socket:[INODE]" of everybody who listens there.
std::vector<std::string> listeners_at(const Endpoint& endpoint) {
  const std::string port = absl::StrFormat(":%04X", ntohs(endpoint.address.sin_port));
  const std::string address = absl::StrFormat("%08X", endpoint.address.sin_addr.s_addr);
  std::vector<std::string> found;
  std::ifstream file("/proc/net/tcp");
  std::string line;
  std::getline(file, line);  // the titles
  while (std::getline(file, line)) {
    const std::vector<std::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    constexpr std::string_view kListening = "0A";
    if (fields.size() < 10 || fields[3] != kListening) break;  // these come first
    if (fields[1] != address + port && fields[1] != "00000000" + port) continue;
    found.push_back(absl::StrCat("socket:[", fields[9], "]"));
  }
  return found;
}

std::string owner_of(const std::string& socket) {
  for (const pid_t pid : processes("/proc")) {
    if (sockets_of(pid).count(socket) == 0) continue;
    const std::string name(absl::StripSuffix(read_all(absl::StrCat("/proc/", pid, "/comm")), "\n"));
    return absl::StrCat(name, ", process ", pid, ": end it with \"kill ", pid, "\"");
  }
  return "a process of another user: see \"ss -ltnp\"";
}

}  // namespace

absl::Status check_no_leaked_server(const std::string& proc) {
  for (const pid_t pid : processes(proc)) {
    const std::string name = leaked_name(fs::path(proc) / absl::StrCat(pid));
    if (name.empty()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "a server of an earlier run is still there and would disturb this one: ", name,
        ", process ", pid, ": end it with \"kill ", pid, "\", or \"kill -9 ", pid, "\""));
  }
  return absl::OkStatus();
}

absl::Status check_sole_listener(const Endpoint& endpoint, pid_t server) {
  const std::set<std::string> own = sockets_of(server);
  if (own.empty()) return absl::OkStatus();  // it may not be looked at
  for (const std::string& socket : listeners_at(endpoint)) {
    if (own.count(socket) > 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("somebody else listens on ", endpoint.to_string(),
                     " as well and would get some of the connections: ", owner_of(socket)));
  }
  return absl::OkStatus();
}

}  // namespace epore::bench
