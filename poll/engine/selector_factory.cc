#include "epore/poll/engine/selector_factory.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/engine/epoll_selector.h"
#include "epore/poll/engine/poll_selector.h"

namespace epore::internal {

absl::Status check_selector(std::string_view name, std::string_view source) {
  if (name.empty() || name == "epoll" || name == "poll") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unknown selector \"", name, "\" in ", source, "; known are: epoll, poll"));
}

absl::StatusOr<std::unique_ptr<Selector>> make_selector(std::string_view name, Kernel& kernel) {
  std::string_view source = "PollOptions::selector";
  if (name.empty()) {
    const char* variable = std::getenv("EPORE_SELECTOR");
    if (variable != nullptr) name = variable;
    source = "the environment variable EPORE_SELECTOR";
  }
  if (absl::Status bad = check_selector(name, source); !bad.ok()) return bad;
  if (name == "poll") return PollSelector::create(kernel);
  return EpollSelector::create(kernel);
}

}  // namespace epore::internal
