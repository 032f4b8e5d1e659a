#ifndef EPORE_RUNTIME_INTERNAL_BASE_PIPE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_PIPE_H_

#include <array>
#include <cstddef>
#include <string>

#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {
class Kernel;
}

namespace epore::internal {

// A Pipe has bytes on their way between two sockets. The system has them. One thread at a time.
struct Pipe : RefCounted {
  static constexpr std::size_t kSize = 256 * 1024;

  // Null if there is no descriptor or memory left.
  static Ref<Pipe> make(Kernel& kernel);

  OwnedFd out;
  OwnedFd in;
  bool is_copied = false;  // the socket that it goes to refuses splice(2)
  std::string rest;        // then: what was read from the pipe and not sent
};

// The empty pipes of a thread. A connection takes one when bytes have come.
class PipeCache {
 public:
  Ref<Pipe> take(Kernel& kernel);

  // Drops a pipe that others still use, and one that is not needed.
  void give(Ref<Pipe> pipe);

 private:
  std::array<Ref<Pipe>, 4> kept_;
  std::size_t count_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_PIPE_H_
