#include "epore/runtime/internal/base/pipe.h"

#include <fcntl.h>

#include <cstddef>
#include <new>
#include <utility>

#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

Ref<Pipe> Pipe::make(Kernel& kernel) {
  int ends[2];
  if (!kernel.pipe(ends, O_CLOEXEC | O_NONBLOCK).ok()) return {};
  OwnedFd out(ends[0], kernel);
  OwnedFd in(ends[1], kernel);
  // Without the larger size it works as well.
  (void)kernel.fcntl(in.get(), F_SETPIPE_SZ, static_cast<int>(kSize));
  Ref<Pipe> pipe = Ref<Pipe>::adopt(new (std::nothrow) Pipe);
  if (pipe.get() == nullptr) return {};
  pipe->out = std::move(out);
  pipe->in = std::move(in);
  return pipe;
}

Ref<Pipe> PipeCache::take(Kernel& kernel) {
  if (count_ == 0) return Pipe::make(kernel);
  return std::exchange(kept_[--count_], {});
}

void PipeCache::give(Ref<Pipe> pipe) {
  if (count_ == kept_.size() || pipe->is_copied || !pipe->is_only_reference()) return;
  kept_[count_++] = std::move(pipe);
}

}  // namespace epore::internal
