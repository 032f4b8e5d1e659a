#include "epore/runtime/internal/base/printable.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 100;
  return absl::StrCat(absl::Utf8SafeCHexEscape(text.substr(0, kMost)),
                      text.size() > kMost ? "..." : "");
}

}  // namespace epore::internal
