#include "epore/poll/engine/selector_factory.h"

#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "epore/poll/engine/epoll_selector.h"
#include "epore/poll/engine/poll_selector.h"

namespace epore::internal {
namespace {

constexpr Engine kEngines[] = {
    {EpollSelector::kName, "Linux", EpollSelector::create},
    {PollSelector::kName, "Linux, slow", PollSelector::create},
};

const Engine* find_engine(std::string_view name) {
  for (const Engine& engine : kEngines) {
    if (engine.name == name) return &engine;
  }
  return nullptr;
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

absl::StatusOr<std::unique_ptr<Selector>> make_selector(std::string_view name, Kernel& kernel) {
  std::string_view source = "PollOptions::selector";
  if (name.empty()) {
    const char* variable = std::getenv("EPORE_SELECTOR");
    if (variable != nullptr) name = variable;
    source = "the environment variable EPORE_SELECTOR";
  }
  if (absl::Status bad = check_selector(name, source); !bad.ok()) return bad;
  if (!name.empty()) return find_engine(name)->create(kernel);
  absl::StatusOr<std::unique_ptr<Selector>> made;
  for (const Engine& engine : kEngines) {
    made = engine.create(kernel);
    // A lack of descriptors or memory is no refusal: the next engine needs them as well.
    if (made.ok() || absl::IsResourceExhausted(made.status())) return made;
  }
  return made;
}

}  // namespace epore::internal
