#include "epore/poll/engine/selector_factory.h"

#include <stdlib.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "epore/poll/engine/epoll_selector.h"
#include "epore/poll/engine/io_uring_selector.h"
#include "epore/poll/engine/poll_selector.h"

namespace epore::internal {
namespace {

constexpr Engine kEngines[] = {
    {EpollSelector::kName, "Linux", false, EpollSelector::create},
    {PollSelector::kName, "Linux, slow", false, PollSelector::create},
    {IoUringSelector::kName, "Linux 5.19", true, IoUringSelector::create},
};

const Engine* find_engine(std::string_view name) {
  for (const Engine& engine : kEngines) {
    if (engine.name == name) return &engine;
  }
  return nullptr;
}

// The name that counts where the option is `name`. Who starts a program that has more rights than
// he has, such as one with set-user-ID, does not choose its engine.
std::string_view asked_for(std::string_view name) {
  const char* variable = name.empty() ? ::secure_getenv("EPORE_SELECTOR") : nullptr;
  return variable != nullptr ? variable : name;
}

}  // namespace

std::span<const Engine> engines() { return kEngines; }

absl::Status check_selector(std::string_view name, std::string_view source) {
  if (name.empty() || find_engine(name) != nullptr) return absl::OkStatus();
  const auto describe = [](std::string* out, const Engine& engine) {
    absl::StrAppend(out, engine.name, " (", engine.available, ")");
  };
  return absl::InvalidArgumentError(
      absl::StrCat("unknown selector \"", name, "\" in ", source,
                   "; known are: ", absl::StrJoin(kEngines, ", ", describe)));
}

std::string_view fallback_for(std::string_view name) {
  const Engine* const engine = find_engine(asked_for(name));
  return engine != nullptr && engine->is_optional ? kEngines[0].name : std::string_view();
}

absl::StatusOr<std::unique_ptr<Selector>> make_selector(std::string_view name, Kernel& kernel) {
  const std::string_view source =
      name.empty() ? "the environment variable EPORE_SELECTOR" : "PollOptions::selector";
  name = asked_for(name);
  if (absl::Status bad = check_selector(name, source); !bad.ok()) return bad;
  if (!name.empty()) return find_engine(name)->create(kernel);
  absl::StatusOr<std::unique_ptr<Selector>> made;
  for (const Engine& engine : kEngines) {
    if (engine.is_optional) continue;
    made = engine.create(kernel);
    // A lack of descriptors or memory is no refusal: the next engine needs them as well.
    if (made.ok() || absl::IsResourceExhausted(made.status())) return made;
  }
  return made;
}

}  // namespace epore::internal
