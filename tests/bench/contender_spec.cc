#include "tests/bench/contender_spec.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace epore::bench {
namespace {

// Letters, digits and underscores: a program's name must not lead elsewhere.
bool is_word(std::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return !text.empty();
}

}  // namespace

absl::StatusOr<ContenderSpec> ContenderSpec::parse(std::string_view text) {
  const std::vector<std::string_view> parts = absl::StrSplit(text, ':');
  ContenderSpec spec = {.label = std::string(text), .name = std::string(parts[0]), .flags = {}};
  if (!is_word(spec.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no contender like epoll or asio:threads=2"));
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!is_word(parts[i].substr(0, parts[i].find('=')))) {
      return absl::InvalidArgumentError(
          absl::StrCat("in the contender \"", text, "\": \"", parts[i], "\" is no FLAG=VALUE"));
    }
    spec.flags.push_back(absl::StrCat("--", parts[i]));
  }
  return spec;
}

absl::StatusOr<std::vector<ContenderSpec>> parse_contenders(std::string_view text) {
  std::vector<ContenderSpec> specs;
  std::map<std::string, int> seen;
  for (const std::string_view part : absl::StrSplit(text, ',')) {
    absl::StatusOr<ContenderSpec> spec = ContenderSpec::parse(part);
    if (!spec.ok()) return spec.status();
    const int times = ++seen[spec->label];
    if (times > 1) absl::StrAppend(&spec->label, "#", times);
    specs.push_back(*std::move(spec));
  }
  return specs;
}

}  // namespace epore::bench
