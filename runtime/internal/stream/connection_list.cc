#include "epore/runtime/internal/stream/connection_list.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/slot_table.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

// A thread is in most connections for some microseconds only. So those are looked at again.
constexpr int kLooks = 3;

struct Found {
  Ref<Registration> registration;
  std::uint32_t since = 0;

  Stream& stream() const { return static_cast<Stream&>(*registration); }
};

bool is_older(const Found& a, const Found& b) { return a.stream().id() < b.stream().id(); }

// Returns the `most` oldest connections, the oldest first, and adds the number of all to `count`.
std::vector<Found> find_oldest(Core& core, std::size_t most, std::size_t& count) {
  std::vector<Found> oldest;  // a heap, the youngest of them at its top
  for (const std::unique_ptr<Reactor>& reactor : core.reactors()) {
    std::uint32_t slot = 0;
    do {
      std::array<SlotTable::Live, SlotTable::kAtOnce> live;
      std::size_t size = 0;
      slot = reactor->slots().share_connections(slot, live, size);
      for (std::size_t i = 0; i < size; ++i) {
        ++count;
        oldest.push_back({std::move(live[i].registration), live[i].since});
        std::push_heap(oldest.begin(), oldest.end(), is_older);
        if (oldest.size() <= most) continue;
        std::pop_heap(oldest.begin(), oldest.end(), is_older);
        oldest.pop_back();
      }
    } while (slot != 0);
  }
  std::sort_heap(oldest.begin(), oldest.end(), is_older);
  return oldest;
}

absl::Duration age_of(const Found& found, std::int64_t now) {
  const std::uint32_t ticks = SlotTable::ticks(now) - found.since;
  return absl::Nanoseconds(std::int64_t{ticks} << SlotTable::kTickBits);
}

}  // namespace

// The activity keeps the threads of the runtime for what wakes a connection during a look. Without
// one the runtime is about to end, and nothing is looked into.
ConnectionList ConnectionList::of(Core& core, std::size_t most) {
  ConnectionList list;
  if (!core.begin_activity()) return list;
  const absl::Cleanup end = [&core] { core.end_activity(); };
  std::size_t count = 0;
  std::vector<Found> found = find_oldest(core, most, count);
  list.left_out = count - found.size();
  const std::int64_t now = core.kernel().now();
  list.connections.resize(found.size());
  std::vector<bool> has_ended(found.size());
  for (int looks = 0; looks < kLooks; ++looks) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      ConnectionInfo& info = list.connections[i];
      if (has_ended[i] || info.is_known) continue;
      info.age = age_of(found[i], now);
      has_ended[i] = !found[i].stream().look(now, info);
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (has_ended[i]) continue;
    if (kept != i) list.connections[kept] = std::move(list.connections[i]);
    ++kept;
  }
  list.connections.resize(kept);
  return list;
}

std::string ConnectionList::to_string() const {
  std::string text = absl::StrCat("connections: ", connections.size() + left_out, "\n");
  for (const ConnectionInfo& one : connections) absl::StrAppend(&text, one.to_string(), "\n");
  if (left_out > 0) absl::StrAppend(&text, "... ", left_out, " younger ones\n");
  return text;
}

}  // namespace epore::internal
