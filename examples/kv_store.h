#ifndef EPORE_EXAMPLES_KV_STORE_H_
#define EPORE_EXAMPLES_KV_STORE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "epore/runtime/timer.h"

namespace examples {

// Keys with values, which may have a deadline. One thread only.
class KvStore {
 public:
  using Clock = std::chrono::steady_clock;

  // It takes about so many bytes at most.
  explicit KvStore(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // `timer` calls remove_due() when it fires. Without one, keys go when somebody looks.
  void set_timer(epore::Timer timer) { timer_ = std::move(timer); }

  // The value of a key, until the next call; null if there is none.
  const std::string* find(std::string_view key);

  // False: there is no room, and nothing has changed. Without a deadline the key has none.
  bool set(std::string_view key, std::string_view value,
           std::optional<Clock::time_point> deadline = std::nullopt);

  // Changes a value and keeps its deadline.
  bool replace(std::string_view key, std::string_view value);

  bool erase(std::string_view key);
  void clear();

  // False: there is no such key, or no room.
  bool set_deadline(std::string_view key, Clock::time_point deadline);

  // None: there is no such key, or it stays for ever.
  std::optional<Clock::time_point> deadline(std::string_view key);

  // May count some keys whose deadline has just passed.
  std::size_t size() const { return entries_.size(); }
  std::size_t used_bytes() const { return used_; }

  // Of every key, in no order.
  template <typename F>
  void for_each_key(F function) {
    const Clock::time_point now = Clock::now();
    for (const auto& [key, entry] : entries_) {
      if (now < entry.deadline) function(std::string_view(key));
    }
  }

  void remove_due();

 private:
  struct Entry {
    std::string value;
    Clock::time_point deadline = Clock::time_point::max();
  };
  using Entries = absl::flat_hash_map<std::string, Entry>;

  Entries::iterator find_entry(std::string_view key);
  bool assign(Entry& entry, std::string_view value);
  bool change_deadline(std::string_view key, Entry& entry, Clock::time_point deadline);
  void erase(Entries::iterator entry);
  void arm();

  const std::size_t max_bytes_;
  std::size_t used_ = 0;
  Entries entries_;
  absl::btree_set<std::pair<Clock::time_point, std::string>> deadlines_;
  epore::Timer timer_;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_KV_STORE_H_
