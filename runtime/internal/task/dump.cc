#include "epore/runtime/internal/task/dump.h"

#include <algorithm>
#include <cstddef>
#include <source_location>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/task/operation.h"

namespace epore::internal {
namespace {

constexpr std::size_t kEnds = 50;          // so many coroutines at each end of a chain
constexpr std::size_t kDeepest = 40;       // joins in joins, and the deepest indent
constexpr std::size_t kLongest = 100'000;  // bytes of a task

// The name of a coroutine's function. gcc names the function that it makes of it, with the frame as
// its argument: "void N::f(N::f(int)::_ZN1N1fEi.Frame*)". This is "N::f(int)" then.
std::string_view function_of(const std::source_location& where) {
  std::string_view name = where.function_name();
  if (!absl::EndsWith(name, ".Frame*)")) return name;
  const std::size_t end = name.rfind("::_Z");
  if (end == std::string_view::npos) return name;
  name = name.substr(0, end);
  // Its argument begins behind the parenthesis that is open.
  int closed = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    if (name[i] == ')') ++closed;
    if (name[i] == '(' && closed-- == 0) return name.substr(i + 1);
  }
  return where.function_name();
}

class Dump {
 public:
  Dump(std::int64_t now, std::string& text)
      : now_(now), text_(text), end_(text.size() + kLongest) {}

  void add(const TaskChain& chain, std::size_t depth, std::size_t joins) {
    std::vector<const CoroutineNode*> nodes;  // the innermost coroutine first
    for (const TaskNode* node = chain.innermost; node != nullptr && !node->is_chain;
         node = nodes.back()->up) {
      nodes.push_back(static_cast<const CoroutineNode*>(node));
    }
    std::size_t left_out = 0;
    if (nodes.size() > 2 * kEnds) left_out = nodes.size() - 2 * kEnds;
    for (std::size_t i = nodes.size(); i-- > 0; ++depth) {
      if (left_out > 0 && i == nodes.size() - kEnds - 1) {
        begin_line(depth);
        absl::StrAppend(&text_, "... ", left_out, " more");
        i -= left_out;
      }
      begin_line(depth);
      add_place(*nodes[i]);
      if (i == 0) add_operation(chain);
    }
    if (nodes.empty()) {  // an operation is itself the child of a join
      begin_line(depth);
      absl::StrAppend(&text_, chain.leaf == nullptr ? "ready" : chain.leaf->name(), age_of(chain));
      ++depth;
    }
    if (chain.leaf != nullptr) add_children(*chain.leaf, depth, joins);
  }

 private:
  void begin_line(std::size_t depth) {
    text_ += '\n';
    text_.append(2 * std::min(depth, kDeepest), ' ');
  }

  void add_place(const CoroutineNode& node) {
    if (node.where.line() == 0) {
      text_ += "a task that begins soon";
      return;
    }
    absl::StrAppend(&text_, node.where.file_name(), ":", node.where.line(), " ",
                    function_of(node.where), age_of(node));
  }

  void add_operation(const TaskChain& chain) {
    absl::StrAppend(&text_, ": ", chain.leaf == nullptr ? "ready" : chain.leaf->name());
  }

  // Children are listed in the reverse order of their begin.
  void add_children(const Operation& operation, std::size_t depth, std::size_t joins) {
    std::vector<const TaskChain*> children;
    for (const TaskChain* child = operation.first_child(); child != nullptr;
         child = operation.next_child(*child)) {
      children.push_back(child);
    }
    while (!children.empty()) {
      if (joins >= kDeepest || text_.size() >= end_) {
        begin_line(depth);
        absl::StrAppend(&text_, "... ", children.size(), " more");
        return;
      }
      add(*children.back(), depth, joins + 1);
      children.pop_back();
    }
  }

  std::string age_of(const TaskNode& node) const {
    if (node.waits_since == 0) return "";
    const std::int64_t age = std::max<std::int64_t>(now_ - node.waits_since, 0);
    return absl::StrCat(", for ", absl::FormatDuration(absl::Nanoseconds(age)));
  }

  const std::int64_t now_;
  std::string& text_;
  const std::size_t end_;
};

}  // namespace

void dump_chain(const TaskChain& chain, std::int64_t now, std::string& text) {
  Dump(now, text).add(chain, 1, 0);
}

}  // namespace epore::internal
