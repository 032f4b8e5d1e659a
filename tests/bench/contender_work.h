#ifndef EPORE_TESTS_BENCH_CONTENDER_WORK_H_
#define EPORE_TESTS_BENCH_CONTENDER_WORK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"

namespace epore::bench {

// How a contender answers what a callback received.
enum class Reply {
  echo,
  ten_sends,  // ten sends of a tenth each, one after the other
  broadcast,  // to all connections, the sender's included
};

// The values of the flags --reply, --work_us and --idle_timeout_s, which contender_program.h
// describes. To be read once, before anything is served.
struct ContenderWork {
  Reply reply = Reply::echo;
  std::uint64_t work_ns = 0;
  std::optional<std::chrono::milliseconds> idle_timeout;

  static absl::StatusOr<ContenderWork> from_flags();

  // For a contender that has no timers. Unimplemented, for skip_contender(): it was asked for one.
  static absl::StatusOr<ContenderWork> without_timeout_from_flags();

  // What a callback does before it answers bytes of which this is the first.
  void burn_for(char first) const {
    if (first == 'S' || work_ns != 0) [[unlikely]]
      burn(first == 'S' ? kSlow + work_ns : work_ns);
  }

 private:
  static constexpr std::uint64_t kSlow = 20'000'000;

  static void burn(std::uint64_t cpu_ns);
};

// Calls send(offset, size) for the ten pieces of a message; for one where it has fewer than ten
// bytes.
template <typename Send>
void for_ten_pieces(std::size_t size, Send send) {
  const std::size_t piece = size / 10;
  if (piece == 0) return send(std::size_t{0}, size);
  for (std::size_t i = 0; i < 9; ++i) send(i * piece, piece);
  send(9 * piece, size - 9 * piece);
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CONTENDER_WORK_H_
