#include "examples/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace examples {

Look Look::of(bool is_terminal, std::size_t width,
              const std::function<const char*(const char*)>& get) {
  const auto value = [&](const char* name) {
    const char* const text = get(name);
    return std::string_view(text == nullptr ? "" : text);
  };
  Look look;
  look.is_live = is_terminal;
  look.has_color = is_terminal && value("NO_COLOR").empty() && value("TERM") != "dumb";
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {  // the first that is set decides
    if (value(name).empty()) continue;
    look.is_utf8 = absl::StrContainsIgnoreCase(value(name), "utf-8") ||
                   absl::StrContainsIgnoreCase(value(name), "utf8");
    break;
  }
  if (width > 0) look.width = width;
  return look;
}

Look Look::of(std::FILE* out) {
  const int fd = ::fileno(out);
  winsize size = {};
  const bool is_terminal = ::isatty(fd) == 1;
  if (is_terminal && ::ioctl(fd, TIOCGWINSZ, &size) != 0) size.ws_col = 0;
  return of(is_terminal, size.ws_col, [](const char* name) { return std::getenv(name); });
}

std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());  // no other escape code is used here
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {  // no continuation byte
      ++count;
    }
  }
  return count;
}

std::string draw_bar(double fraction, std::size_t width, bool is_utf8) {
  const double filled = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(width);
  std::string bar;
  if (!is_utf8) {
    bar.assign(static_cast<std::size_t>(std::lround(filled)), '#');
    return bar.append(width - bar.size(), '.');
  }
  static constexpr const char* kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const long eighths = std::lround(filled * 8);
  for (long i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kParts[eighths % 8];
  return bar.append(width - columns(bar), ' ');
}

void Terminal::print(std::string_view line) {
  const absl::MutexLock lock(&mutex_);
  write_over("");
  std::fprintf(out_, "%.*s\n", static_cast<int>(line.size()), line.data());
  std::fflush(out_);
}

void Terminal::show_progress(std::string_view text) {
  if (!look_.is_live) return;
  const absl::MutexLock lock(&mutex_);
  write_over(columns(text) < look_.width ? text : "");
}

// With blanks instead of an escape code, so that it works without them.
void Terminal::write_over(std::string_view text) {
  const std::size_t shown = columns(text);
  if (shown == 0 && shown_ == 0) return;
  const std::string blanks(shown < shown_ ? shown_ - shown : 0, ' ');
  std::fprintf(out_, "\r%.*s%s", static_cast<int>(text.size()), text.data(), blanks.c_str());
  if (shown == 0) std::fputc('\r', out_);
  std::fflush(out_);
  shown_ = shown;
}

std::string Terminal::styled(std::string_view code, std::string_view text) const {
  if (!look_.has_color || text.empty()) return std::string(text);
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

}  // namespace examples
