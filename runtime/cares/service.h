#ifndef EPORE_RUNTIME_CARES_SERVICE_H_
#define EPORE_RUNTIME_CARES_SERVICE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace epore {

// One of the hosts that offer a service: an SRV record (RFC 2782). A plain value.
struct ServiceTarget {
  std::string host = {};
  std::uint16_t port = 0;
  std::uint16_t priority = 0;  // the lowest one is tried first
  std::uint16_t weight = 0;    // its share among those of one priority

  // "HOST:PORT", for NameResolver::addresses().
  std::string address() const;

  friend bool operator==(const ServiceTarget&, const ServiceTarget&) = default;
};

namespace internal {

// Puts targets into the order in which a client is to try them: the lower priority first, and those
// of one priority by lot, so that each comes first as often as its weight says (RFC 2782, "Usage
// rules"). `random` returns a number from 0 to `most`, each as likely.
void order_targets(std::vector<ServiceTarget>& targets,
                   absl::FunctionRef<std::uint32_t(std::uint32_t most)> random);

// Whether `name` may be asked for: labels of 1 to 63 letters, digits, "-" and "_", together at most
// 253 characters and a final dot. Errors: InvalidArgument, which names it and what is wrong.
absl::Status check_name(std::string_view name);

}  // namespace internal
}  // namespace epore

#endif  // EPORE_RUNTIME_CARES_SERVICE_H_
