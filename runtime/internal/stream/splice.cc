#include "epore/runtime/splice.h"

#include <cstdint>

#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/stream/splice_operations.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore {

Task<std::uint64_t> splice(Connection from, Connection to) {
  internal::Splice state;
  std::uint64_t moved = 0;
  for (;;) {
    const ByteView copied =
        co_await internal::SpliceReadOperation(internal::Stream::of(from), state);
    if (state.count != 0) {
      moved += state.count;
      co_await internal::SpliceWriteOperation(internal::Stream::of(to), state);
    } else if (!copied.empty()) {
      moved += copied.size();
      co_await to.write(copied);
    } else {
      co_return moved;
    }
  }
}

}  // namespace epore
