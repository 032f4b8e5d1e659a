#include "epore/runtime/internal/children/start_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/process_start.h"
#include "epore/runtime/internal/base/printable.h"

extern "C" char** environ;

namespace epore::internal {
namespace {

// What a service manager says to this process, and not to its children.
constexpr std::string_view kOfThisProcess[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                                               "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};

// The default of execvp(3) without PATH.
constexpr std::string_view kDefaultPath = "/bin:/usr/bin";

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

bool is_of_this_process(std::string_view name) {
  for (const std::string_view one : kOfThisProcess) {
    if (name == one) return true;
  }
  return false;
}

bool has_name(const std::vector<std::string>& variables, std::string_view name) {
  for (const std::string& one : variables) {
    if (name_of(one) == name) return true;
  }
  return false;
}

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> all;
  if (command.inherits_environment() && environ != nullptr) {
    for (char** one = environ; *one != nullptr; ++one) {
      const std::string_view name = name_of(*one);
      if (is_of_this_process(name) || has_name(command.variables(), name)) continue;
      all.emplace_back(*one);
    }
  }
  all.insert(all.end(), command.variables().begin(), command.variables().end());
  return all;
}

// The files that may be the program: itself if it has a slash, or one in each folder of PATH.
std::vector<std::string> files_of(const std::string& program) {
  if (absl::StrContains(program, '/')) return {program};
  const char* const path = std::getenv("PATH");
  std::vector<std::string> all;
  for (const std::string_view folder : absl::StrSplit(path ? path : kDefaultPath, ':')) {
    all.push_back(folder.empty() ? program : absl::StrCat(folder, "/", program));
  }
  return all;
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> all;
  for (const std::string& text : texts) all.push_back(text.c_str());
  all.push_back(nullptr);
  return all;
}

std::string_view call_of(ProcessStep step) {
  switch (step) {
    case ProcessStep::clone:
      return "clone";
    case ProcessStep::group:
      return "setpgid";
    case ProcessStep::folder:
      return "chdir";
    case ProcessStep::streams:
      return "dup3";
    case ProcessStep::descriptors:
      return "close_range";
    case ProcessStep::exec:
      return "execve";
  }
  return "";
}

// The streams of a child that is about to start.
class Streams {
 public:
  Streams(Kernel& kernel, std::string_view subject) : kernel_(kernel), subject_(subject) {}

  absl::Status open(std::size_t i, const ChildStream& stream) {
    if (stream.is_inherited()) return absl::OkStatus();
    if (stream.is_pipe()) return open_pipe(i);
    // Above the standard streams: see ProcessStart::streams.
    const SysResult opened = stream.is_null()
                                 ? kernel_.open("/dev/null", O_RDWR | O_CLOEXEC, 0)
                                 : kernel_.fcntl(stream.fd(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (!opened.ok()) {
      return failed(opened, stream.is_null() ? "open(/dev/null)"
                                             : absl::StrCat("fcntl(F_DUPFD_CLOEXEC) of descriptor ",
                                                            stream.fd()));
    }
    theirs_[i] = OwnedFd(opened.fd(), kernel_);
    return absl::OkStatus();
  }

  int theirs(std::size_t i) const { return theirs_[i].get(); }
  std::array<OwnedFd, 3> take_ours() { return std::move(ours_); }

 private:
  // The child's end blocks, as programs expect.
  absl::Status open_pipe(std::size_t i) {
    int fds[2];
    const SysResult made = kernel_.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    if (!made.ok()) return failed(made, "socketpair");
    ours_[i] = OwnedFd(fds[0], kernel_);
    theirs_[i] = OwnedFd(fds[1], kernel_);
    const SysResult set = kernel_.fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK);
    return set.ok() ? absl::OkStatus() : failed(set, "fcntl(F_SETFL)");
  }

  absl::Status failed(SysResult result, std::string_view call) const {
    return errno_status(result.error(), absl::StrCat(subject_, ": ", call));
  }

  Kernel& kernel_;
  std::string_view subject_;
  std::array<OwnedFd, 3> ours_;
  std::array<OwnedFd, 3> theirs_;
};

}  // namespace

absl::StatusOr<StartedProcess> start_process(Kernel& kernel, const Command& command,
                                             const ChildOptions& options) {
  const std::string subject =
      absl::StrCat("start_child(\"", printable(command.texts().front()), "\")");
  Streams streams(kernel, subject);
  const ChildStream* const wanted[] = {&options.input, &options.output, &options.errors};
  for (std::size_t i = 0; i < 3; ++i) {
    if (absl::Status bad = streams.open(i, *wanted[i]); !bad.ok()) return bad;
  }
  const std::vector<std::string> files = files_of(command.texts().front());
  const std::vector<std::string> environment = environment_of(command);
  const std::vector<const char*> file_pointers = pointers(files);
  const std::vector<const char*> arguments = pointers(command.texts());
  const std::vector<const char*> variables = pointers(environment);
  ProcessStart start{.files = file_pointers.data(),
                     .arguments = arguments.data(),
                     .environment = variables.data(),
                     .folder = command.folder().empty() ? nullptr : command.folder().c_str(),
                     .streams = {streams.theirs(0), streams.theirs(1), streams.theirs(2)},
                     .leads_group = options.own_group};
  int pidfd = -1;
  const SysResult started = kernel.spawn(start, &pidfd);
  if (!started.ok()) {
    const std::string in = start.failed == ProcessStep::folder
                               ? absl::StrCat(" to \"", printable(command.folder()), "\"")
                               : "";
    return errno_status(started.error(), absl::StrCat(subject, ": ", call_of(start.failed), in));
  }
  Process process(kernel, started.fd(), pidfd, options.own_group);
  return StartedProcess{std::move(process), streams.take_ours()};
}

}  // namespace epore::internal
