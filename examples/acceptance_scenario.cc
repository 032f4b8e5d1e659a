#include "examples/acceptance_scenario.h"

#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "examples/http_response_parser.h"

namespace examples {
namespace {

using Clock = std::chrono::steady_clock;

// What the requests tell their ends to. Outlives the runtime.
class Scoreboard {
 public:
  Scoreboard(int expected, absl::FunctionRef<void(const ScenarioAnswer&)> on_answer)
      : on_answer_(on_answer), open_(expected) {}

  void note(const ScenarioAnswer& answer) {
    {
      const absl::MutexLock lock(&mutex_);
      ++(answer.status.ok() ? answered_ : failed_);
      on_answer_(answer);
    }
    open_.DecrementCount();
  }

  ScenarioResult wait() {
    open_.Wait();
    const absl::MutexLock lock(&mutex_);
    return {answered_, failed_, absl::FromChrono(Clock::now() - start_), {}};
  }

 private:
  const Clock::time_point start_ = Clock::now();
  const absl::FunctionRef<void(const ScenarioAnswer&)> on_answer_;
  absl::BlockingCounter open_;
  absl::Mutex mutex_;
  int answered_ ABSL_GUARDED_BY(mutex_) = 0;
  int failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One request. Lives in the callbacks of its connection.
class Exchange {
 public:
  Exchange(Scoreboard& scoreboard, int worker, int request, absl::Duration delay)
      : scoreboard_(scoreboard), answer_{worker, request, delay, {}, {}} {}

  static void start(epore::Runtime& runtime, std::string_view address,
                    std::shared_ptr<Exchange> self) {
    runtime.connect(address, [self](absl::StatusOr<epore::Connection> peer) {
      if (!peer.ok()) return self->finish(peer.status());
      peer->on_data([self](epore::Connection& c, std::span<const std::byte> bytes) {
        self->on_data(c, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      });
      peer->on_closed([self](epore::Connection&, const absl::Status& why) {
        self->finish(why.ok() ? absl::DataLossError("closed before the answer was complete") : why);
      });
      peer->send(absl::StrCat("GET /", absl::ToInt64Milliseconds(self->answer_.asked), "/",
                              self->message(), " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    });
  }

 private:
  std::string message() const { return absl::StrCat("HelloWorld", answer_.request); }

  void on_data(epore::Connection& peer, std::string_view bytes) {
    if (!response_.feed(bytes)) return finish(absl::DataLossError("not HTTP"));
    if (!response_.is_complete()) return;
    const bool is_right = response_.status() == 200 && response_.body() == message();
    finish(is_right ? absl::OkStatus()
                    : absl::DataLossError(absl::StrCat("status ", response_.status(), ", \"",
                                                       response_.body(), "\"")));
    peer.close();
  }

  // The first call counts; the connection's end comes after the answer's.
  void finish(absl::Status status) {
    if (std::exchange(is_finished_, true)) return;
    answer_.taken = absl::FromChrono(Clock::now() - start_);
    answer_.status = std::move(status);
    scoreboard_.note(answer_);
  }

  Scoreboard& scoreboard_;
  const Clock::time_point start_ = Clock::now();
  ScenarioAnswer answer_;
  HttpResponseParser response_;
  bool is_finished_ = false;
};

}  // namespace

absl::StatusOr<ScenarioResult> run_acceptance_scenario(
    const ScenarioOptions& options, absl::FunctionRef<void(const ScenarioAnswer&)> on_answer) {
  Scoreboard scoreboard(options.workers * options.requests, on_answer);
  std::latch present(options.workers);
  epore::RuntimeOptions runtime_options;
  runtime_options.reactors = 1;
  runtime_options.workers = options.workers;
  runtime_options.dispatch = epore::Dispatch::workers;
  epore::Runtime runtime(runtime_options);

  for (int worker = 0; worker < options.workers; ++worker) {
    const absl::Status posted = runtime.post([&, worker] {
      // All meet here, to show that there are so many, and start at the same moment.
      present.arrive_and_wait();
      for (int i = 0; i < options.requests; ++i) {
        Exchange::start(runtime, options.address,
                        std::make_shared<Exchange>(scoreboard, worker, i, i * options.step));
      }
    });
    if (!posted.ok()) return posted;
  }
  ScenarioResult result = scoreboard.wait();
  result.counters = runtime.counters();
  return result;
}

}  // namespace examples
