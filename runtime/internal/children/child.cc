#include "epore/runtime/child.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/children/child_state.h"

namespace epore {

using internal::ChildState;
using internal::Ref;

std::string ExitStatus::to_string() const {
  return signal != 0 ? absl::StrCat("killed by signal ", signal) : absl::StrCat("exit code ", code);
}

absl::Status ChildOptions::check() const {
  for (const ChildStream& stream : {input, output, errors}) {
    if (!stream.is_inherited() && !stream.is_null() && !stream.is_pipe() && stream.fd() < 0) {
      return absl::InvalidArgumentError("ChildOptions: a stream is no open descriptor");
    }
  }
  return connection.check();
}

absl::Status Command::check() const {
  if (texts_.empty() || texts_.front().empty()) {
    return absl::InvalidArgumentError("start_child: the command has no program");
  }
  const auto bad = [this](std::string_view text, std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("start_child(\"",
                                                   internal::printable(texts_.front()), "\"): \"",
                                                   internal::printable(text), "\" ", why));
  };
  const auto has_zero = [](std::string_view text) {
    return text.find('\0') != std::string_view::npos;
  };
  for (const std::string& text : texts_) {
    if (has_zero(text)) return bad(text, "has a zero byte");
  }
  if (has_zero(folder_)) return bad(folder_, "has a zero byte");
  for (const std::string& variable : variables_) {
    const std::size_t name = variable.find('=');
    if (name == std::string::npos || name == 0) return bad(variable, "is not NAME=VALUE");
    if (has_zero(variable)) return bad(variable, "has a zero byte");
  }
  return absl::OkStatus();
}

Child::Child() = default;
Child::Child(const Child&) = default;
Child::Child(Child&&) noexcept = default;
Child& Child::operator=(const Child&) = default;
Child& Child::operator=(Child&&) noexcept = default;
Child::~Child() = default;

Child::Child(Ref<ChildState> state) : state_(std::move(state)) {}

int Child::pid() const { return state_ ? state_->pid() : -1; }

internal::ChildWait Child::wait() const { return internal::ChildWait(state_); }

namespace {

absl::Status no_child(const char* call) {
  return internal::make_error(absl::StatusCode::kFailedPrecondition,
                              absl::StrCat("Child::", call, ": this names no child"));
}

}  // namespace

absl::Status Child::kill(int signal) const {
  return state_ ? state_->kill(signal, /*whole_group=*/false) : no_child("kill");
}

absl::Status Child::kill_group(int signal) const {
  return state_ ? state_->kill(signal, /*whole_group=*/true) : no_child("kill_group");
}

namespace internal {

ChildWait::ChildWait(Ref<ChildState> state) : state_(std::move(state)) {}
ChildWait::ChildWait(ChildWait&&) noexcept = default;
ChildWait::~ChildWait() = default;

bool ChildWait::begin(TaskNode& node) {
  if (state_) return state_->begin(*this, node);
  if (!ends_with_stop(node)) {
    node.status =
        make_error(absl::StatusCode::kFailedPrecondition, "Child::wait: this names no child");
  }
  return true;
}

ExitStatus ChildWait::take() { return state_->exit_status(); }

void ChildWait::cancel(const absl::Status& why) { state_->cancel(*this, why); }

bool StartChildOperation::begin(TaskNode& node) {
  if (ends_with_stop(node)) return true;
  node.status = or_no_memory("start_child", [&] {
    OrderState& order = *node.scope->chain->home().order_state();
    absl::StatusOr<Child> started = ChildState::start_for_task(Ref<Core>::share(&order.core()),
                                                               command_, options_, order.handle());
    if (started.ok()) child_ = *std::move(started);
    return started.status();
  });
  return true;
}

}  // namespace internal
}  // namespace epore
