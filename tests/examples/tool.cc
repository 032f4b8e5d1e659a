#include "tests/examples/tool.h"

#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "examples/child_process.h"

namespace examples {

Tool::Tool(const std::string& name) : name(name) {
  for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/sbin/"}) {
    if (path.empty() && ::access(absl::StrCat(folder, name).c_str(), X_OK) == 0) {
      path = absl::StrCat(folder, name);
    }
  }
}

Tool::Result Tool::run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {path};
  command.insert(command.end(), arguments.begin(), arguments.end());
  absl::StatusOr<ChildProcess> process = ChildProcess::start(command);
  CHECK_OK(process.status());
  Result result;
  while (std::optional<std::string> line = process->read_line(absl::Seconds(60))) {
    absl::StrAppend(&result.output, *line, "\n");
  }
  result.exit_code = process->wait().value_or(-1);
  return result;
}

}  // namespace examples
