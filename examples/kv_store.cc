#include "examples/kv_store.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace examples {
namespace {

// What a key takes beside its bytes, with the free places of the tables.
constexpr std::size_t kEntryBytes = 160;
constexpr std::size_t kDeadlineBytes = 80;

constexpr int kRemovedAtOnce = 1000;

}  // namespace

KvStore::Entries::iterator KvStore::find_entry(std::string_view key) {
  const Entries::iterator found = entries_.find(key);
  if (found == entries_.end() || found->second.deadline == Clock::time_point::max()) return found;
  if (Clock::now() < found->second.deadline) return found;
  erase(found);
  return entries_.end();
}

const std::string* KvStore::find(std::string_view key) {
  const Entries::iterator found = find_entry(key);
  return found == entries_.end() ? nullptr : &found->second.value;
}

bool KvStore::set(std::string_view key, std::string_view value,
                  std::optional<Clock::time_point> deadline) {
  if (deadline &&
      used_ + 2 * key.size() + value.size() + kEntryBytes + kDeadlineBytes > max_bytes_) {
    return false;  // so that setting the deadline cannot fail
  }
  Entries::iterator found = entries_.find(key);
  if (found == entries_.end()) {
    const std::size_t size = key.size() + value.size() + kEntryBytes;
    if (used_ + size > max_bytes_) return false;
    used_ += size;
    found = entries_.emplace(std::string(key), Entry{.value = std::string(value)}).first;
  } else if (!assign(found->second, value)) {
    return false;
  }
  const Clock::time_point at = deadline.value_or(Clock::time_point::max());
  return at == found->second.deadline || change_deadline(key, found->second, at);
}

bool KvStore::replace(std::string_view key, std::string_view value) {
  const Entries::iterator found = find_entry(key);
  return found == entries_.end() ? set(key, value) : assign(found->second, value);
}

bool KvStore::assign(Entry& entry, std::string_view value) {
  const std::size_t used = used_ - entry.value.size() + value.size();
  if (used > max_bytes_ && used > used_) return false;
  used_ = used;
  if (entry.value.capacity() / 2 > value.size() + 64) {
    std::string(value).swap(entry.value);  // gives memory back, as no assignment does for sure
  } else {
    entry.value.assign(value);
  }
  return true;
}

bool KvStore::erase(std::string_view key) {
  const Entries::iterator found = find_entry(key);
  if (found == entries_.end()) return false;
  erase(found);
  return true;
}

void KvStore::erase(Entries::iterator entry) {
  (void)change_deadline(entry->first, entry->second, Clock::time_point::max());
  used_ -= entry->first.size() + entry->second.value.size() + kEntryBytes;
  entries_.erase(entry);
}

void KvStore::clear() {
  entries_ = {};
  deadlines_.clear();
  used_ = 0;
  timer_.cancel();
}

bool KvStore::set_deadline(std::string_view key, Clock::time_point deadline) {
  const Entries::iterator found = find_entry(key);
  return found != entries_.end() && change_deadline(key, found->second, deadline);
}

bool KvStore::change_deadline(std::string_view key, Entry& entry, Clock::time_point deadline) {
  const std::size_t size = key.size() + kDeadlineBytes;
  const bool had = entry.deadline != Clock::time_point::max();
  const bool has = deadline != Clock::time_point::max();
  if (has && !had && used_ + size > max_bytes_) return false;
  if (had) deadlines_.erase({entry.deadline, std::string(key)});
  if (has) deadlines_.emplace(deadline, key);
  used_ = used_ - (had ? size : 0) + (has ? size : 0);
  entry.deadline = deadline;
  if (has && deadlines_.begin()->first == deadline) arm();
  return true;
}

std::optional<KvStore::Clock::time_point> KvStore::deadline(std::string_view key) {
  const Entries::iterator found = find_entry(key);
  if (found == entries_.end() || found->second.deadline == Clock::time_point::max()) {
    return std::nullopt;
  }
  return found->second.deadline;
}

void KvStore::remove_due() {
  if (deadlines_.empty()) return;
  const Clock::time_point now = Clock::now();
  for (int i = 0; i < kRemovedAtOnce && !deadlines_.empty(); ++i) {
    if (deadlines_.begin()->first > now) break;
    erase(entries_.find(deadlines_.begin()->second));
  }
  arm();
}

void KvStore::arm() {
  if (deadlines_.empty()) return;
  timer_.arm(absl::FromChrono(
      std::max(deadlines_.begin()->first - Clock::now(), Clock::duration::zero())));
}

}  // namespace examples
