#ifndef EPORE_TESTS_SUPPORT_INTERLEAVINGS_H_
#define EPORE_TESTS_SUPPORT_INTERLEAVINGS_H_

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"

namespace epore {

// A thread of a model: a coroutine that says before each of its atomic steps
//
//   co_await step("set");                                     // the rest, up to the next one,
//   if (flag.set()) ...                                       // happens at once
//   co_await step("wait", [this] { return counter > 0; });    // only when that holds
//
// What it keeps from one step to the next must be a member of the model and be in its state().
class ModelThread {
 public:
  struct promise_type {
    ModelThread get_return_object() {
      return ModelThread(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() { return {}; }  // runs up to its first step
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }

    const char* next = nullptr;  // the step that it is about to make
    std::function<bool()> condition;
  };

  ModelThread(ModelThread&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~ModelThread() {
    if (handle_) handle_.destroy();
  }

  bool is_done() const { return handle_.done(); }
  bool can_run() const {
    return !is_done() && (!handle_.promise().condition || handle_.promise().condition());
  }
  const char* next() const { return is_done() ? "-" : handle_.promise().next; }
  void run() { handle_.resume(); }

 private:
  explicit ModelThread(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

// See ModelThread. `name` must be of this step alone, among the steps of its thread.
struct ModelStep {
  const char* name;
  std::function<bool()> condition;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<ModelThread::promise_type> thread) {
    thread.promise().next = name;
    thread.promise().condition = std::move(condition);
  }
  void await_resume() const {}
};
inline ModelStep step(const char* name, std::function<bool()> condition = nullptr) {
  return ModelStep{name, std::move(condition)};
}

struct Exploration {
  std::string violation;   // the first that was found; empty: there is none
  std::string trace;       // the steps that led to it, "thread: step" each on a line
  std::size_t states = 0;  // different ones
};

// Runs a model under every interleaving of its threads' steps and looks for one that breaks it.
// The steps are sequentially consistent: it finds wrong protocols, not missing memory orders.
//
// `make` returns a std::unique_ptr to a fresh model, which has
//
//   std::vector<ModelThread> threads();    // to be called once
//   std::vector<std::int64_t> state() const;   // all that decides how it goes on, but where the
//                                              // threads are
//   std::string violation(bool is_over) const;  // what is wrong now, or nothing; is_over: no
//   thread
//                                               // can run any more
//
// A schedule is run again from its start, as the parts under test are the real ones and cannot be
// copied; a state that was met before is not followed again. Dies beyond `max_states`.
template <typename Make>
Exploration explore_interleavings(Make make, std::size_t max_states = 200'000) {
  Exploration result;
  std::set<std::pair<std::vector<std::string>, std::vector<std::int64_t>>> met;
  std::vector<std::vector<std::size_t>> to_do = {{}};  // schedules: which thread at each step
  while (!to_do.empty()) {
    std::vector<std::size_t> schedule = std::move(to_do.back());
    to_do.pop_back();
    auto model = make();
    std::vector<ModelThread> threads = model->threads();
    std::string trace;
    const auto run = [&](std::size_t thread) {
      trace += "\n" + std::to_string(thread) + ": " + threads[thread].next();
      threads[thread].run();
    };
    for (std::size_t thread : schedule) run(thread);
    for (;;) {
      std::vector<std::string> at;
      std::vector<std::size_t> able;
      for (std::size_t i = 0; i < threads.size(); ++i) {
        at.emplace_back(threads[i].next());
        if (threads[i].can_run()) able.push_back(i);
      }
      result.violation = model->violation(/*is_over=*/able.empty());
      if (!result.violation.empty()) {
        result.trace = std::move(trace);
        return result;
      }
      if (!met.emplace(std::move(at), model->state()).second || able.empty()) break;
      CHECK_LE(met.size(), max_states) << "the model is too large to be explored";
      for (std::size_t i = 1; i < able.size(); ++i) {
        to_do.push_back(schedule);
        to_do.back().push_back(able[i]);
      }
      schedule.push_back(able[0]);
      run(able[0]);
    }
  }
  result.states = met.size();
  return result;
}

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_INTERLEAVINGS_H_
