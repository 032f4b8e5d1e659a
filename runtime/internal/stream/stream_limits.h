#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_LIMITS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/connection_permits.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// Timeouts in nanoseconds; kNever means none.
struct StreamTimeouts {
  std::int64_t idle;
  std::int64_t write_stall;
  std::int64_t linger;
};

// The ConnectionOptions in the form that a Stream uses. All connections of a listener share one.
struct StreamLimits final : RefCounted {
  // `most`: ListenOptions::max_connections.
  explicit StreamLimits(const ConnectionOptions& options, std::size_t most = 0);

  StreamTimeouts timeouts;
  std::size_t write_high_mark;
  std::size_t write_low_mark;
  std::size_t write_cap;
  std::size_t max_descriptors;
  bool pause_reading_above_high_mark;
  const absl::Status no_memory;                      // made in advance, while there is memory
  const std::unique_ptr<ConnectionPermits> permits;  // of the listener; null: no limit
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_LIMITS_H_
