#include "tests/bench/micro_cases.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/micro_client.h"
#include "tests/support/heap.h"

namespace epore::bench {
namespace {

using Sides = std::vector<std::unique_ptr<MicroSide>>;
using Time = Stopwatch::Time;

constexpr double kHalf = 0.5;
constexpr int kTimers = 100'000;
constexpr int kIdle = 10'000;  // connections, each with a timer

struct Case {
  std::string name;
  double limit;
  int operations;
  std::function<absl::StatusOr<Time>(std::size_t side, int count)> run;
};

class Program {
 public:
  Program(const Sides& sides, const MicroOptions& options, MicroProgress progress)
      : sides_(sides), options_(options), progress_(progress) {
    result_.options = options;
    result_.has_heap = Heap::is_counted();
  }

  absl::StatusOr<MicroResult> run() {
    for (const std::unique_ptr<MicroSide>& side : sides_) {
      if (absl::Status started = side->start(); !started.ok()) return started;
      result_.names.push_back(side->name());
      result_.versions.push_back(side->version());
    }
    std::vector<std::function<absl::Status()>> steps;
    for (Case& one : posts()) add(steps, std::move(one));
    for (Case& one : echoes()) add(steps, std::move(one));
    for (Case& one : tasks()) add(steps, std::move(one));
    if (wanted("idle connection")) {
      steps.push_back([this] {
        return measure_memory("idle connection", {.has_timeout = true}, result_.memory);
      });
      steps.push_back([this] {
        return measure_memory("idle connection, coroutine",
                              {.is_coroutine = true, .has_timeout = true}, result_.task_memory);
      });
    }
    add(steps, {absl::StrCat("expiry of ", scaled(kTimers), " timers"), kHalf, kTimers,
                [this](std::size_t side, int n) { return sides_[side]->expire(n); }});
    add_with_timers(steps, scaled(kIdle),
                    {absl::StrCat("re-arm of ", scaled(kIdle), " timers in turn"), kHalf, 200'000,
                     [this](std::size_t side, int n) { return sides_[side]->rearm(n); }});
    add_with_timers(
        steps, scaled(kTimers),
        {absl::StrCat("timer arm and cancel, ", scaled(kTimers), " pending"), kHalf, 200'000,
         [this](std::size_t side, int n) { return sides_[side]->arm_and_cancel(n); }});
    for (std::size_t i = 0; i < steps.size(); ++i) {
      done_ = static_cast<double>(i) / static_cast<double>(steps.size());
      if (absl::Status status = steps[i](); !status.ok()) return status;
    }
    return std::move(result_);
  }

 private:
  int scaled(int count) const {
    return std::max(4, static_cast<int>(static_cast<double>(count) * options_.scale));
  }
  bool wanted(const std::string& name) const { return absl::StrContains(name, options_.filter); }

  void add(std::vector<std::function<absl::Status()>>& steps, Case one) {
    if (!wanted(one.name)) return;
    steps.push_back([this, one = std::move(one)] { return measure(one); });
  }
  void add_with_timers(std::vector<std::function<absl::Status()>>& steps, int timers, Case one) {
    if (!wanted(one.name)) return;
    steps.push_back([this, timers, one = std::move(one)] {
      for (const std::unique_ptr<MicroSide>& side : sides_) side->hold_timers(timers);
      return measure(one);
    });
  }

  std::vector<Case> posts() {
    constexpr int kPosts = 200'000;
    const auto burst = [this](int burst) {
      return [this, burst](std::size_t side, int n) { return sides_[side]->post_burst(n, burst); };
    };
    const auto from = [this](int threads) {
      return
          [this, threads](std::size_t side, int n) { return sides_[side]->post_from(threads, n); };
    };
    const auto order_burst = [this](int burst) {
      return [this, burst](std::size_t side, int n) {
        return sides_[side]->post_in_order_burst(n, burst);
      };
    };
    const auto order_from = [this](int threads) {
      return [this, threads](std::size_t side, int n) {
        return sides_[side]->post_in_order_from(threads, n);
      };
    };
    return {
        {"post, own thread, one at a time", kHalf, kPosts, burst(1)},
        {"post, own thread, 100 at a time", kHalf, kPosts, burst(100)},
        {"post, 1 other thread", kHalf, kPosts, from(1)},
        {"post, 2 other threads", kHalf, kPosts, from(2)},
        {"post, 3 other threads", kHalf, kPosts, from(3)},
        {"post, 4 other threads", kHalf, kPosts, from(4)},
        {"post in order, own thread, one at a time", kHalf, kPosts, order_burst(1)},
        {"post in order, own thread, 100 at a time", kHalf, kPosts, order_burst(100)},
        {"post in order, 1 other thread", kHalf, kPosts, order_from(1)},
        {"post in order, 2 other threads", kHalf, kPosts, order_from(2)},
        {"post in order, 4 other threads", kHalf, kPosts, order_from(4)},
    };
  }

  std::vector<Case> tasks() {
    const auto run = [this](TaskWork work) {
      return [this, work](std::size_t side, int n) { return sides_[side]->run_tasks(work, n); };
    };
    return {
        {"task: empty child", kHalf, 400'000, run(TaskWork::empty_child)},
        {"task: ready await", kHalf, 400'000, run(TaskWork::ready_await)},
        {"task: yield", kHalf, 400'000, run(TaskWork::yield)},
        {"task: spawn, ten yields", kHalf, 20'000, run(TaskWork::spawn_ten_yields)},
        {"task: eight calls deep", kHalf, 50'000, run(TaskWork::eight_deep)},
        {"task: channel, one order", kHalf, 200'000, run(TaskWork::hand_over)},
        {"task: channel without room, one order", kHalf, 100'000, run(TaskWork::rendezvous)},
        {"task: channel, across threads", kHalf, 100'000, run(TaskWork::hand_over_threads)},
        {"task: within around a wait", kHalf, 100'000, run(TaskWork::within_wait)},
        {"task: read that is ready", kHalf, 40'000, run(TaskWork::ready_read)},
        {"task: message that is there", kHalf, 40'000, run(TaskWork::ready_message)},
    };
  }

  std::vector<Case> echoes() {
    const auto echo = [this](MicroSide::Server server) {
      return [this, server, clients = std::make_shared<Clients>(sides_.size())](
                 std::size_t side, int n) { return this->echo(server, *clients, side, n); };
    };
    return {
        {"echo, 64 bytes", 0, 10'000, echo({})},
        {"echo, 64 bytes, idle timeout", 0, 10'000, echo({.has_timeout = true})},
        {"echo, 64 bytes, coroutine", 0, 10'000, echo({.is_coroutine = true})},
        {"echo, 64 bytes, coroutine, within", 0, 10'000,
         echo({.is_coroutine = true, .has_timeout = true})},
    };
  }

  using Clients = std::vector<std::optional<MicroClient>>;

  absl::StatusOr<Time> echo(MicroSide::Server kind, Clients& clients, std::size_t side, int count) {
    if (!clients[side]) {
      absl::StatusOr<std::string> server = sides_[side]->serve(kind);
      if (!server.ok()) return server.status();
      absl::StatusOr<MicroClient> client = MicroClient::create(*server, 1);
      if (!client.ok()) return client.status();
      if (absl::Status opened = client->open(1); !opened.ok()) return opened;
      clients[side] = *std::move(client);
    }
    return clients[side]->echo(count);
  }

  absl::Status measure(const Case& one) {
    progress_(one.name, done_);
    const int count = scaled(one.operations);
    MicroRow row{.name = one.name, .limit = one.limit, .costs = {}};
    row.costs.resize(sides_.size());
    for (std::size_t side = 0; side < sides_.size(); ++side) {
      if (auto warm = one.run(side, count); !warm.ok()) return warm.status();
      const ScopedHeapCount heap;
      if (auto counted = one.run(side, count); !counted.ok()) return counted.status();
      row.costs[side].allocations = static_cast<double>(heap.so_far().allocations) / count;
    }
    for (int round = 0; round < options_.rounds; ++round) {
      for (std::size_t i = 0; i < sides_.size(); ++i) {
        const std::size_t side = (i + static_cast<std::size_t>(round)) % sides_.size();
        const absl::StatusOr<Time> time = one.run(side, count);
        if (!time.ok()) return time.status();
        row.costs[side].wall_ns.push_back(time->wall_ns / count);
        row.costs[side].cpu_ns.push_back(time->cpu_ns / count);
      }
    }
    result_.rows.push_back(std::move(row));
    return absl::OkStatus();
  }

  absl::Status measure_memory(std::string_view what, MicroSide::Server kind, MicroMemory& memory) {
    memory.connections = scaled(2'000);
    progress_(what, done_);
    for (const std::unique_ptr<MicroSide>& side : sides_) {
      const absl::StatusOr<std::string> server = side->serve(kind);
      if (!server.ok()) return server.status();
      // What is there once and for all is there before: tables grow by steps.
      absl::StatusOr<MicroClient> client = MicroClient::create(*server, 1 + memory.connections);
      if (!client.ok()) return client.status();
      if (absl::Status opened = client->open(1); !opened.ok()) return opened;
      const ScopedHeapCount heap;
      if (absl::Status opened = client->open(memory.connections); !opened.ok()) return opened;
      memory.bytes.push_back(static_cast<double>(heap.so_far().bytes) / memory.connections);
    }
    return absl::OkStatus();
  }

  const Sides& sides_;
  const MicroOptions options_;
  const MicroProgress progress_;
  double done_ = 0;
  MicroResult result_;
};

}  // namespace

absl::StatusOr<MicroResult> run_micro(const Sides& sides, const MicroOptions& options,
                                      MicroProgress progress) {
  if (options.rounds < 1) return absl::InvalidArgumentError("--rounds: must be at least 1");
  return Program(sides, options, progress).run();
}

}  // namespace epore::bench
