#include "epore/runtime/internal/net/inherited_sockets.h"

#include <stdlib.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore::internal {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 1 << 16;

}  // namespace

InheritedSockets InheritedSockets::of_environment() {
  return {::secure_getenv("LISTEN_PID"), ::secure_getenv("LISTEN_FDS"),
          ::secure_getenv("LISTEN_FDNAMES")};
}

absl::StatusOr<std::vector<int>> InheritedSockets::find(std::string_view name, int self) const {
  const std::string text = absl::StrCat("\"inherited:", printable(name), "\"");
  if (pid == nullptr || fds == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        text,
        ": this process has inherited no sockets (LISTEN_PID and LISTEN_FDS are not set, or not ",
        "trusted, as the process has set-user-ID or file capabilities)"));
  }
  int owner = 0;
  int count = 0;
  if (!absl::SimpleAtoi(pid, &owner) || !absl::SimpleAtoi(fds, &count) || count < 0 ||
      count > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(text, ": LISTEN_PID is \"", printable(pid),
                                                   "\" and LISTEN_FDS is \"", printable(fds),
                                                   "\""));
  }
  // They were meant for a parent, which may have closed them since.
  if (owner != self) {
    return absl::NotFoundError(
        absl::StrCat(text, ": LISTEN_PID is ", owner, ", and this process is ", self));
  }
  std::vector<std::string_view> all;
  if (names != nullptr) all = absl::StrSplit(names, ':');
  std::vector<int> found;
  for (int i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    if (name.empty() || (at < all.size() && all[at] == name)) found.push_back(kFirst + i);
  }
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat(
        text, ": none of the ", count, " inherited sockets has this name; LISTEN_FDNAMES is \"",
        printable(names != nullptr ? names : ""), "\""));
  }
  return found;
}

}  // namespace epore::internal
