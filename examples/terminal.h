#ifndef EPORE_EXAMPLES_TERMINAL_H_
#define EPORE_EXAMPLES_TERMINAL_H_

#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace examples {

// What the reader of our output can make of it.
struct Look {
  bool is_live = false;    // a terminal, where a line can be written over
  bool has_color = false;  // and escape codes are welcome
  bool is_utf8 = false;
  std::size_t width = 80;

  // From the variables NO_COLOR, TERM, LC_ALL, LC_CTYPE and LANG; `get` returns null for one that
  // is not set. See no-color.org and locale(7).
  static Look of(bool is_terminal, std::size_t width,
                 const std::function<const char*(const char*)>& get);
  static Look of(std::FILE* out);
};

// Columns that a text takes, one for each character; escape codes take none.
std::size_t columns(std::string_view text);

// A horizontal bar of `width` columns, so much of it filled; with UTF-8 in steps of an eighth.
std::string draw_bar(double fraction, std::size_t width, bool is_utf8);

// Lines of output, and on a terminal one line below them that tells the progress. From any thread.
class Terminal {
 public:
  Terminal(std::FILE* out, const Look& look) : look_(look), out_(out) {}

  const Look& look() const { return look_; }

  // A line that stays.
  void print(std::string_view line);

  // Writes over the progress line; nothing where the output is no terminal or too narrow. An empty
  // text takes it away.
  void show_progress(std::string_view text);

  std::string bold(std::string_view text) const { return styled("1", text); }
  std::string faint(std::string_view text) const { return styled("2", text); }
  std::string green(std::string_view text) const { return styled("32", text); }
  std::string red(std::string_view text) const { return styled("31", text); }
  std::string bar(double fraction, std::size_t width) const {
    return draw_bar(fraction, width, look_.is_utf8);
  }

 private:
  std::string styled(std::string_view code, std::string_view text) const;
  void write_over(std::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Look look_;
  std::FILE* const out_;
  absl::Mutex mutex_;
  std::size_t shown_ ABSL_GUARDED_BY(mutex_) = 0;  // columns of the progress line
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_TERMINAL_H_
