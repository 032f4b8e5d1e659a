// Mistakes that epore's headers answer with a sentence. Each one is compiled alone (MISTAKE is its
// number), and the compiler must say the sentence below. Without a number all of this
// compiles.
#include <string>
#include <string_view>
#include <vector>

#include "epore/runtime/runtime.h"

#ifndef MISTAKE
#define MISTAKE 0
#endif

using epore::Connection;
using epore::Task;

Task<> work(std::string) { co_return; }

void mistakes(epore::Runtime& runtime, epore::Order order, std::string_view view) {
  (void)runtime.run(work, view.data());
  (void)order;
#if MISTAKE == 1
  // a coroutine handler takes its epore::Connection by value and returns epore::Task<>
  (void)runtime.listen(":0", [](const Connection&) -> Task<> { co_return; });
#elif MISTAKE == 2
  // a coroutine handler takes its epore::Connection by value and returns epore::Task<>
  (void)runtime.listen(":0", [](auto&) -> Task<> { co_return; });
#elif MISTAKE == 3
  // a coroutine handler takes its epore::Connection by value and returns epore::Task<>
  (void)runtime.listen(":0", [](Connection) -> Task<int> { co_return 1; });
#elif MISTAKE == 4
  // a callback is no coroutine: call Runtime::spawn() in it
  (void)runtime.post([]() -> Task<> { co_return; });
#elif MISTAKE == 5
  // a callback is no coroutine: call Runtime::spawn() in it
  Connection().on_drain([](Connection&) -> Task<> { co_return; });
#elif MISTAKE == 6
  // a view may end before the task: pass a std::string or epore::Bytes
  (void)runtime.spawn([](std::string_view) -> Task<> { co_return; }, view);
#elif MISTAKE == 7
  // a view may end before it is received: send a std::string or epore::Bytes
  (void)epore::Channel<std::string_view>(1);
#elif MISTAKE == 8
  // give run() the function and its arguments: run(work, text), not run(work(text))
  (void)runtime.run(work("text"));
#elif MISTAKE == 9
  // run() takes a function that returns an epore::Task, and arguments for it
  (void)runtime.run([] {});
#elif MISTAKE == 10
  // a buffer: write std::string_view(buffer, size)
  char buffer[10];
  (void)Connection().send(buffer);
#elif MISTAKE == 17
  // a callback is no coroutine: call Runtime::spawn() in it
  epore::RuntimeOptions options;
  options.on_thread_start = [](std::string_view) -> Task<> { co_return; };
#endif
}

Task<> awaited_mistakes(epore::Order order) {
  co_await epore::on(order, work, "text");
#if MISTAKE == 11
  // any() waits for the first of several, and needs one at least
  co_await epore::any();
#elif MISTAKE == 12
  // on() takes a function that returns an epore::Task, and arguments for it
  co_await epore::on(order, [] { return 1; });
#elif MISTAKE == 13
  // blocking() takes a function that blocks, and no coroutine: await the task itself
  co_await epore::blocking(work, "text");
#elif MISTAKE == 14
  // await a task once: co_await std::move(task)
  Task<> task = work("text");
  co_await task;
#elif MISTAKE == 15
  // a view may end before the task: pass a std::string or epore::Bytes
  std::string text;
  co_await epore::group([&](epore::Group& group) -> Task<> {
    group.spawn([](std::string_view) -> Task<> { co_return; }, std::string_view(text));
    co_return;
  });
#elif MISTAKE == 18
  // await tasks once: co_await all(std::move(tasks))
  std::vector<Task<int>> tasks;
  co_await epore::all(tasks);
#elif MISTAKE == 19
  // await tasks once: co_await any(std::move(tasks))
  std::vector<Task<>> tasks;
  co_await epore::any(tasks);
#elif MISTAKE == 16
  // a Task gives a value: Task<T*> for a pointer to what is elsewhere, not Task<T&>
  (void)sizeof(Task<int&>);
#endif
}
