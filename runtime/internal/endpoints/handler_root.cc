#include "epore/runtime/internal/endpoints/handler_root.h"

#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

void HandlerRoot::start(const Ref<Handler>& handler, Connection& peer) {
  const Ref<Stream>& stream = Stream::of(peer);
  stream->use_tasks();
  Ref<HandlerRoot>::adopt(new HandlerRoot(stream, handler))->start_here();
}

HandlerRoot::HandlerRoot(Ref<Stream> stream, Ref<Handler> handler)
    : TaskRoot(stream->order()), stream_(std::move(stream)), handler_(std::move(handler)) {}

Task<> HandlerRoot::call() { return handler_->call(Stream::handle(stream_)); }

std::string HandlerRoot::describe() const {
  return absl::StrCat("the handler of ", stream_->describe());
}

void HandlerRoot::on_end() {
  // A handler that reads message by message need not look for the end behind the last one.
  if (result().ok() || absl::IsCancelled(result()) || stream_->is_end_between_messages(result())) {
    return core().is_cut_off() ? stream_->abort(result()) : stream_->close(absl::OkStatus());
  }
  core().counters().add(Counter::handler_errors);
  if (!stream_->is_open()) return;  // it has failed, and on_closed or the counters say so
  // A loop that did not look for the end has read everything, and may have answered.
  stream_->is_past_end(result()) ? stream_->close(result()) : stream_->abort(result());
  tell([this] {
    LOG_EVERY_N_SEC(WARNING, 1) << "epore: " << describe() << " ended with " << result();
  });
}

}  // namespace epore::internal
