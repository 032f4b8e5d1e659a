#ifndef EPORE_RUNTIME_CHILD_H_
#define EPORE_RUNTIME_CHILD_H_

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/options.h"

namespace epore {

class Child;

namespace internal {
class ChildState;
}

// How a child process has ended.
struct ExitStatus {
  int code = 0;    // of exit(3), if `signal` is 0
  int signal = 0;  // that has killed it, or 0

  bool ok() const { return code == 0 && signal == 0; }
  std::string to_string() const;  // "exit code 1", "killed by signal 9"
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

// A Command is a program with its arguments, its environment and its folder.
//
//   epore::Command sort = {"sort", "-n"};
//   epore::Command tar = epore::Command("tar", "-cf", file, ".").in("/srv/site").with("LANG=C");
//
// (gcc 12 refuses a std::initializer_list in a co_await expression, so it is not just a vector.)
class Command {
 public:
  template <std::convertible_to<std::string_view>... Texts>
  requires(sizeof...(Texts) > 0) Command(const Texts&... texts) {
    texts_.reserve(sizeof...(texts));
    (texts_.emplace_back(std::string_view(texts)), ...);
  }
  Command(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  // It starts in this folder; without a call, or with an empty one, in that of this process.
  Command& in(std::string_view folder) & {
    folder_ = folder;
    return *this;
  }
  Command&& in(std::string_view folder) && { return std::move(in(folder)); }

  // It has this variable, "NAME=VALUE", beside those of this process, or in the place of one.
  //
  // What a service manager has told this process (NOTIFY_SOCKET, WATCHDOG_*, LISTEN_*) is not
  // handed on. The environment is read during the start: no other thread may change it then.
  Command& with(std::string_view variable) & {
    variables_.emplace_back(variable);
    return *this;
  }
  Command&& with(std::string_view variable) && { return std::move(with(variable)); }

  // It has no variables but those of with().
  Command& with_no_environment() & {
    inherits_environment_ = false;
    return *this;
  }
  Command&& with_no_environment() && { return std::move(with_no_environment()); }

  const std::vector<std::string>& texts() const { return texts_; }
  const std::string& folder() const { return folder_; }
  const std::vector<std::string>& variables() const { return variables_; }
  bool inherits_environment() const { return inherits_environment_; }

  // Checks the texts; start_child() does so as well. Errors: InvalidArgument.
  absl::Status check() const;

 private:
  std::vector<std::string> texts_;
  std::string folder_;
  std::vector<std::string> variables_;
  bool inherits_environment_ = true;
};

// What a standard stream of a child is.
class ChildStream {
 public:
  static ChildStream inherited() { return ChildStream(kInherited); }  // the one of this process
  static ChildStream null() { return ChildStream(kNull); }            // /dev/null
  // A Connection of this process: Child::input(), output() and errors(). It is a pair of Unix
  // sockets, which can do what a pipe can, but cannot be opened by the name /dev/stdin.
  static ChildStream pipe() { return ChildStream(kPipe); }
  // A duplicate of a descriptor of this process, such as that of a file. It is borrowed during the
  // start only.
  static ChildStream of(int fd) { return ChildStream(fd < 0 ? kBad : fd); }

  bool is_inherited() const { return fd_ == kInherited; }
  bool is_null() const { return fd_ == kNull; }
  bool is_pipe() const { return fd_ == kPipe; }
  int fd() const { return fd_; }  // less than 0: it is another kind

 private:
  static constexpr int kInherited = -2;
  static constexpr int kNull = -3;
  static constexpr int kPipe = -4;
  static constexpr int kBad = -1;

  explicit ChildStream(int fd) : fd_(fd) {}

  int fd_;
};

// The options of Runtime::start_child() and of start_child() in a task. (They need no destructor:
// gcc 12 would call it twice for `co_await start_child(command, {.own_group = true})`.)
struct ChildOptions {
  ChildStream input = ChildStream::null();
  ChildStream output = ChildStream::inherited();
  ChildStream errors = ChildStream::inherited();

  // Makes it the leader of a process group of its own, with what it starts: see
  // Child::kill_group(). A signal from the terminal (ctrl-C) then does not reach it.
  bool own_group = false;

  // Of the streams that are pipes.
  ConnectionOptions connection = {};

  // Checks the values; start_child() does so as well. Errors: InvalidArgument.
  absl::Status check() const;
};

static_assert(std::is_trivially_destructible_v<ChildOptions>);

namespace internal {

class ChildWait final : public ListedOperation, public WithResult<ChildWait> {
 public:
  using Value = ExitStatus;

  explicit ChildWait(Ref<ChildState> state);
  ChildWait(ChildWait&&) noexcept;
  ~ChildWait();

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  ExitStatus take();

 private:
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "Child::wait"; }

  Ref<ChildState> state_;
};

class StartChildOperation;

}  // namespace internal

// A Child is a program that this one has started, as a child process. Runtime::start_child() and
// start_child() make one.
//
//   epore::Child sort =
//       co_await epore::start_child({"sort", "-n"}, {.input = epore::ChildStream::pipe(),
//                                                    .output = epore::ChildStream::pipe()});
//   co_await sort.input().write("3\n1\n2\n");
//   sort.input().shut_down_write();  // or it waits for more
//   while (epore::ByteView bytes = co_await sort.output().read()) all += bytes.text();
//   epore::ExitStatus end = co_await sort.wait();
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Child is a handle. Copies name the same child and may outlive the runtime.
// Dropping them neither ends the child nor leaves a zombie: the runtime waits for it in any case.
// Its pipes close when the last handle of the child and of the connection is gone.
//
// Edges, guaranteed:
//
// 1. The child inherits no descriptor but its three streams, blocks no signal, and has the default
//    action for each, also for those that this process ignores.
// 2. There is no handler of SIGCHLD, and other children of the process are left alone. But the
//    program may neither ignore SIGCHLD nor wait for all its children (waitpid(-1)): how a child of
//    a Runtime has ended would be lost, and is then an error.
// 3. A signal goes to this child or to nobody, also when the system has given its id away.
// 4. While a shutdown drains, children go on. Those that are left when it refuses posts are killed
//    (SIGKILL), with their group if it is their own, and waited for. Their waits end with
//    Cancelled.
//
// See docs/guide/children.md, pidfd_open(2).
class Child {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ExitStatus> end)>;

  Child();  // names no child
  Child(const Child&);
  Child(Child&&) noexcept;
  Child& operator=(const Child&);
  Child& operator=(Child&&) noexcept;
  ~Child();

  int pid() const;  // -1: this names no child

  // The other ends of its streams, where these are pipes; elsewhere they name no connection. Close
  // input(), or shut down its writing, so that the child sees the end. output() and errors() end
  // when all processes that have the pipe have ended or closed it.
  Connection input() const { return input_; }
  Connection output() const { return output_; }
  Connection errors() const { return errors_; }

  // Waits in a task for the end of the child, and returns how it has ended. Any number of tasks may
  // wait, also afterwards. Nothing is lost when a task is stopped. Errors: FailedPrecondition if
  // this names no child; Cancelled if a shutdown has killed it; FailedPrecondition (ECHILD) if
  // another part of the program has waited for it.
  [[nodiscard]] internal::ChildWait wait() const;

  // Sends a signal to the child, see kill(2). Errors: NotFound (ESRCH) if it has ended;
  // InvalidArgument for no signal; PermissionDenied if it has become another user's.
  absl::Status kill(int signal) const;

  // Sends a signal to all processes of its group. Errors: as above, and FailedPrecondition without
  // ChildOptions::own_group. What is left of a group when its leader has ended cannot be reached.
  absl::Status kill_group(int signal) const;

  // Whether both name the same child, or none.
  friend bool operator==(const Child& a, const Child& b) {
    return a.state_.get() == b.state_.get();
  }

 private:
  friend class internal::ChildState;
  explicit Child(internal::Ref<internal::ChildState> state);

  internal::Ref<internal::ChildState> state_;
  Connection input_;
  Connection output_;
  Connection errors_;
};

namespace internal {

class [[nodiscard]] StartChildOperation final : public Operation,
                                                public WithResult<StartChildOperation> {
 public:
  using Value = Child;

  StartChildOperation(Command command, const ChildOptions& options)
      : command_(std::move(command)), options_(options) {}
  StartChildOperation(StartChildOperation&& other) noexcept
      : Operation(std::move(other)),
        command_(std::move(other.command_)),
        options_(other.options_) {}

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  Child take() { return std::move(child_); }

 private:
  void cancel(const absl::Status&) override {}
  const char* name() const override { return "start_child"; }

  Command command_;
  ChildOptions options_;
  Child child_;
};

}  // namespace internal

// Starts a program, in a task, as Runtime::start_child() does. The pipes are in the order of the
// task. It completes inside the call.
[[nodiscard]] inline internal::StartChildOperation start_child(Command command,
                                                               const ChildOptions& options = {}) {
  return {std::move(command), options};
}

}  // namespace epore

#endif  // EPORE_RUNTIME_CHILD_H_
