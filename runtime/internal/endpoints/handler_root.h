#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/order/task_root.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/task.h"

namespace epore::internal {

// The coroutine that serves an accepted connection. Its end closes the connection.
class HandlerRoot final : public TaskRoot {
 public:
  using Handler = absl::AnyInvocable<Task<>(Connection)>;

  // In the first callback of the connection: begins the handler. Without memory the connection
  // ends.
  static void start(const std::shared_ptr<Handler>& handler, Connection& peer);

  HandlerRoot(Ref<Stream> stream, std::shared_ptr<Handler> handler);

  std::string describe() const override;

 private:
  Task<> call() override;
  void drop_callable() override { handler_ = nullptr; }
  void on_end() override;

  const Ref<Stream> stream_;
  std::shared_ptr<Handler> handler_;  // until its coroutine has ended
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_HANDLER_ROOT_H_
