#ifndef EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_
#define EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

// InvalidArgument, naming `source` and listing the known ones, if no engine is called `name`. An
// empty one is valid.
absl::Status check_selector(std::string_view name, std::string_view source);

// Makes the engine called `name`; empty: that of EPORE_SELECTOR, or the default.
absl::StatusOr<std::unique_ptr<Selector>> make_selector(std::string_view name, Kernel& kernel);

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_SELECTOR_FACTORY_H_
