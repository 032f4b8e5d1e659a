#ifndef EPORE_EXAMPLES_DELAY_SERVICE_H_
#define EPORE_EXAMPLES_DELAY_SERVICE_H_

#include <string>

#include "epore/runtime/connection.h"
#include "epore/runtime/task.h"
#include "examples/delay_log.h"

namespace examples {

// What all connections of a delay server share. Must outlive them.
struct DelayService {
  DelayLog* log;
  std::string fill;  // goes behind every message
};

// Serves a client of the delay server, from its first request to its end. Requests are answered one
// at a time. The next ones wait in the connection, at most some 16 KiB of them.
epore::Task<> serve_delays(epore::Connection peer, const DelayService& service);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DELAY_SERVICE_H_
