#ifndef EPORE_RUNTIME_CARES_NAME_RESOLVER_OPTIONS_H_
#define EPORE_RUNTIME_CARES_NAME_RESOLVER_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace epore {

// The options of NameResolver::create().
struct NameResolverOptions {
  // "ADDRESS[:PORT]", with commas between several: "127.0.0.1:5353,[::1]:53". Empty: the system's,
  // of /etc/resolv.conf.
  std::string servers = {};

  // How long the first try waits for a server; each later one waits longer. From 1 ms to an hour.
  absl::Duration timeout = absl::Seconds(2);

  // How often each server is tried, 1 to 100.
  int tries = 3;

  // The most lookups at a time, 1 to 30,000: each may have two questions under way, and a question
  // has a number of 16 bits. One that nobody waits for any more counts until its tries are over.
  std::size_t max_lookups = 1000;

  // Whether the addresses of /etc/hosts come first. The file is read by each lookup.
  bool uses_hosts_file = true;

  // Whether the domains that /etc/resolv.conf searches, or LOCALDOMAIN of the environment, are
  // tried behind a name of a host.
  bool uses_search_domains = true;

  // Checks the values; create() does so as well. Errors: InvalidArgument, which names the value
  // that is out of its range, and the range.
  absl::Status check() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CARES_NAME_RESOLVER_OPTIONS_H_
