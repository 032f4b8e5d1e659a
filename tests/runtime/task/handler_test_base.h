#ifndef EPORE_TESTS_RUNTIME_TASK_HANDLER_TEST_BASE_H_
#define EPORE_TESTS_RUNTIME_TASK_HANDLER_TEST_BASE_H_

#include <string>
#include <utility>

#include "absl/log/check.h"
#include "epore/runtime/runtime.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {

// Connections that a coroutine serves, in every mode.
class HandlerTest : public RuntimeTest {
 protected:
  // Listens with `handler` on a free port, and connects a peer.
  template <typename Handler>
  Peer serve(Runtime& runtime, Handler handler, const ListenOptions& options = {}) {
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", std::move(handler), options);
    CHECK_OK(listener);
    address_ = listener->address();
    return Peer(address_);
  }

  // Of the last serve().
  std::string address() const { return address_.to_string(); }

 private:
  SocketAddress address_;
};

inline Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_TASK_HANDLER_TEST_BASE_H_
