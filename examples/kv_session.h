#ifndef EPORE_EXAMPLES_KV_SESSION_H_
#define EPORE_EXAMPLES_KV_SESSION_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "epore/runtime/connection.h"
#include "examples/kv_store.h"

namespace examples {

// What all clients share. One thread only.
struct KvShared {
  KvStore store;
  std::size_t max_unread;  // bytes of a subscriber's queue; with more it is cut off
  std::size_t clients = 0;
  std::size_t long_replies = 0;  // bytes of replies that wait whole: KvSession::kMaxLongReplies
  absl::flat_hash_map<std::string, absl::flat_hash_set<epore::Connection>> channels = {};
};

// A client: runs its commands, and sends it what others publish. Ends its subscriptions when
// destroyed.
class KvSession {
 public:
  // A reply that is longer is made in pieces of about so many bytes.
  static constexpr std::size_t kPiece = 64 * 1024;

  // The names of a KEYS are there at once: the most bytes of one such reply, and of those of all
  // clients together.
  static constexpr std::size_t kMaxReply = 16 << 20;
  static constexpr std::size_t kMaxLongReplies = 64 << 20;

  using Arguments = std::span<const std::string_view>;

  KvSession(epore::Connection peer, KvShared& shared);
  ~KvSession();
  KvSession(const KvSession&) = delete;
  KvSession& operator=(const KvSession&) = delete;

  // Runs a command, the first argument, and appends its reply. Returns how much work that was: an
  // argument, a client that was sent something, or a key that was looked at is about 1.
  //
  // With has_more() it was a piece of the reply. The next command waits until add_more() has added
  // all others, each once those before are written. `arguments` must live so long.
  std::size_t run(Arguments arguments, std::string& reply);
  bool has_more() const { return !unanswered_.empty() || !names_.empty(); }
  void add_more(std::string& reply);

  // Whether others may publish to it.
  bool is_subscriber() const { return !subscriptions_.empty(); }

  // The client has said QUIT, or speaks HTTP.
  bool has_quit() const { return has_quit_; }

 private:
  struct Command {
    void (KvSession::*run)(Arguments, std::string& reply);
    int arguments;  // with the name; less than 0: at least -arguments
    bool is_for_subscribers = false;
  };
  static const absl::flat_hash_map<std::string_view, Command>& commands();
  static const Command* find_command(std::string_view name);

  void ping(Arguments, std::string&);
  void echo(Arguments, std::string&);
  void get(Arguments, std::string&);
  void set(Arguments, std::string&);
  void del(Arguments, std::string&);
  void exists(Arguments, std::string&);
  void incr(Arguments, std::string&);
  void expire(Arguments, std::string&);
  void ttl(Arguments, std::string&);
  void mget(Arguments, std::string&);
  void mset(Arguments, std::string&);
  void keys(Arguments, std::string&);
  void dbsize(Arguments, std::string&);
  void flushdb(Arguments, std::string&);
  void subscribe(Arguments, std::string&);
  void unsubscribe(Arguments, std::string&);
  void publish(Arguments, std::string&);
  void info(Arguments, std::string&);
  void command(Arguments, std::string&);
  void client(Arguments, std::string&);
  void config(Arguments, std::string&);
  void select(Arguments, std::string&);
  void quit(Arguments, std::string&);
  void hang_up(Arguments, std::string&);

  void leave(std::string_view channel);
  void add_values(std::string& reply);
  void add_names(std::string& reply);
  void drop_names();

  epore::Connection peer_;
  KvShared& shared_;
  KvStore& store_;
  absl::flat_hash_set<std::string> subscriptions_;
  std::string name_;
  std::size_t work_ = 0;   // of the command that runs
  Arguments unanswered_;   // keys of an MGET whose values are in no piece yet
  std::string names_;      // the reply of a KEYS,
  std::size_t named_ = 0;  // of which so many bytes were in a piece
  bool has_quit_ = false;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_KV_SESSION_H_
