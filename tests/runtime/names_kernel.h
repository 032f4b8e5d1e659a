#ifndef EPORE_TESTS_RUNTIME_NAMES_KERNEL_H_
#define EPORE_TESTS_RUNTIME_NAMES_KERNEL_H_

#include <netdb.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "epore/poll/kernel/real_kernel.h"
#include "epore/runtime/address.h"

namespace epore {

// The operating system with a name service of the test's own; to be put below a FaultKernel.
class NamesKernel : public RealKernel {
 public:
  // Before it is used. The port of an address may be 0: then it is the one that was asked for.
  void add(const std::string& host, const std::vector<std::string>& addresses) {
    for (const std::string& text : addresses) {
      const absl::StatusOr<SocketAddress> address = SocketAddress::parse(text);
      CHECK_OK(address.status());
      hosts_[host].push_back(*address);
    }
  }

  int resolve(const char* host, const char* service, const addrinfo*, addrinfo** list) override {
    const auto found = hosts_.find(host != nullptr ? host : "");
    if (found == hosts_.end()) return EAI_NONAME;
    *list = nullptr;
    for (auto address = found->second.rbegin(); address != found->second.rend(); ++address) {
      const int port = address->port() != 0 ? address->port() : std::atoi(service);
      auto* entry = new Entry{{}, address->with_port(static_cast<std::uint16_t>(port))};
      entry->info.ai_family = entry->address.data()->sa_family;
      entry->info.ai_addr = const_cast<sockaddr*>(entry->address.data());
      entry->info.ai_addrlen = entry->address.size();
      entry->info.ai_next = std::exchange(*list, &entry->info);
    }
    return 0;
  }

  void free_addresses(addrinfo* list) override {
    while (list != nullptr) {
      addrinfo* const next = list->ai_next;
      delete reinterpret_cast<Entry*>(list);
      list = next;
    }
  }

 private:
  struct Entry {
    addrinfo info;  // first, so that its address is the entry's
    SocketAddress address;
  };

  std::map<std::string, std::vector<SocketAddress>> hosts_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_NAMES_KERNEL_H_
