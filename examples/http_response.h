#ifndef EPORE_EXAMPLES_HTTP_RESPONSE_H_
#define EPORE_EXAMPLES_HTTP_RESPONSE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace examples {

// What a response says of its connection.
enum class ConnectionHeader { none, close, keep_alive };

// The head of a response of plain text, down to the empty line. Header names are in lower case:
// content-length, connection, content-type (only if there is a body), date.
std::string http_response_head(int status, std::size_t body_size, ConnectionHeader connection,
                               absl::Time date);

// "Sun, 06 Nov 1994 08:49:37 GMT": an IMF-fixdate (RFC 9110, 5.6.7).
std::string http_date(absl::Time time);

}  // namespace examples

#endif  // EPORE_EXAMPLES_HTTP_RESPONSE_H_
