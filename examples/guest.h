#ifndef EPORE_EXAMPLES_GUEST_H_
#define EPORE_EXAMPLES_GUEST_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"

// What the programs share that show epore as a guest in another loop.
namespace examples {

// Sends the clients of a free port their bytes back, and prints "LISTEN address:port".
absl::StatusOr<epore::Listener> start_echo(epore::Runtime& runtime);

// Milliseconds for a host's loop: rounded up, so that it does not turn before it is time. -1 means
// for ever.
int milliseconds(absl::Duration timeout);

// Reads once from the standard input, and prints "INPUT count". Returns false at its end.
bool read_input();

}  // namespace examples

#endif  // EPORE_EXAMPLES_GUEST_H_
