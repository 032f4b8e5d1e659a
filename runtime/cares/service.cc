#include "epore/runtime/cares/service.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore {

std::string ServiceTarget::address() const { return absl::StrCat(host, ":", port); }

namespace internal {

void order_targets(std::vector<ServiceTarget>& targets,
                   absl::FunctionRef<std::uint32_t(std::uint32_t most)> random) {
  // Those without a weight come first, or else the lot would never fall on them.
  std::sort(targets.begin(), targets.end(), [](const auto& a, const auto& b) {
    return std::tie(a.priority, a.weight, a.host) < std::tie(b.priority, b.weight, b.host);
  });
  for (auto next = targets.begin(); next != targets.end(); ++next) {
    const auto end = std::find_if(
        next, targets.end(), [&](const auto& other) { return other.priority != next->priority; });
    std::uint32_t sum = 0;
    for (auto target = next; target != end; ++target) sum += target->weight;
    const std::uint32_t lot = random(sum);
    auto chosen = next;
    for (std::uint32_t passed = chosen->weight; passed < lot; passed += chosen->weight) ++chosen;
    std::rotate(next, chosen, chosen + 1);
  }
}

absl::Status check_name(std::string_view name) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("name \"", printable(name), "\": ", why));
  };
  const std::string_view labels = absl::StripSuffix(name, ".");
  if (labels.empty()) return bad("empty");
  if (labels.size() > 253) return bad("more than 253 characters");
  for (const std::string_view label : absl::StrSplit(labels, '.')) {
    if (label.empty()) return bad("an empty label");
    if (label.size() > 63) return bad("a label of more than 63 characters");
    for (const char c : label) {
      if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') continue;
      return bad("only letters, digits, \"-\", \"_\" and \".\" are allowed");
    }
  }
  return absl::OkStatus();
}

}  // namespace internal
}  // namespace epore
