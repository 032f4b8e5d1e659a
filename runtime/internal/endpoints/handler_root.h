#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/task_root.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/task.h"

namespace epore::internal {

// The coroutine that serves an accepted connection. Its end closes the connection.
class HandlerRoot final : public TaskRoot {
 public:
  // What all connections of a listener share.
  struct Handler : RefCounted {
    explicit Handler(absl::AnyInvocable<Task<>(Connection)> function) : call(std::move(function)) {}

    absl::AnyInvocable<Task<>(Connection)> call;
  };

  // In the first callback of the connection: begins the handler. Without memory the connection
  // ends.
  static void start(const Ref<Handler>& handler, Connection& peer);

  HandlerRoot(Ref<Stream> stream, Ref<Handler> handler);

  std::string describe() const override;

 private:
  Task<> call() override;
  void drop_callable() override { handler_ = {}; }
  void on_end() override;

  const Ref<Stream> stream_;
  Ref<Handler> handler_;  // until its coroutine has ended
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_
