#ifndef EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_
#define EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_

#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

// One engine of this build.
struct Engine {
  std::string_view name;       // of PollOptions::selector and EPORE_SELECTOR
  std::string_view available;  // where the engine works, for error messages
  // Only for who asks for it. Containers refuse it, so a runtime then goes on with another one.
  bool is_optional;
  absl::StatusOr<std::unique_ptr<Selector>> (*create)(Kernel& kernel);
};

// All engines, the best first. The factory, the checks of options, the error messages and the
// tests read this table; no engine is named anywhere else.
std::span<const Engine> engines();

// Checks a name that came from `source`, such as "PollOptions::selector". An empty name is valid.
// Errors: InvalidArgument if no engine has this name. The message lists the engines.
absl::Status check_selector(std::string_view name, std::string_view source);

// What takes the place of the engine that a program asks for by `name`, or in EPORE_SELECTOR if
// `name` is empty: the first of the table, if that engine is optional. Empty otherwise.
std::string_view fallback_for(std::string_view name);

// Makes the engine called `name`. If `name` is empty, takes the name from EPORE_SELECTOR. If that
// is empty too, takes the first engine of the table that is not optional and that the system does
// not refuse. Errors: those of check_selector() and of the engine's create().
absl::StatusOr<std::unique_ptr<Selector>> make_selector(std::string_view name, Kernel& kernel);

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_
