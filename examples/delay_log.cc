#include "examples/delay_log.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "examples/text.h"

namespace examples {

void DelayLog::open() {
  const absl::MutexLock lock(&mutex_);
  is_open_ = true;
  print();
}

void DelayLog::arrived(std::uint64_t milliseconds, std::string_view message) {
  const std::string rest = absl::StrCat(" - ", milliseconds, "ms: ", on_one_line(message), "\n");
  const absl::MutexLock lock(&mutex_);
  absl::StrAppend(&held_, "#", ++count_, rest);
  if (is_open_) print();
}

void DelayLog::print() {
  std::fwrite(held_.data(), 1, held_.size(), out_);
  std::fflush(out_);
  held_.clear();
}

}  // namespace examples
