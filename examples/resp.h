#ifndef EPORE_EXAMPLES_RESP_H_
#define EPORE_EXAMPLES_RESP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

// The requests of a Redis client, one at a time, from bytes as they come: an array of bulk strings
// ("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), or a line for people ("GET a\r\n"). No byte is looked at
// twice, however the bytes are cut.
//
//   while (parser.parse(bytes) == RespParser::State::complete) {
//     answer(parser.arguments());
//     bytes.remove_prefix(parser.size());
//   }
class RespParser {
 public:
  enum class State { incomplete, complete, bad };

  // A longer line, or a request of more than `max_request` bytes, is bad.
  static constexpr std::size_t kMaxLine = 64 * 1024;
  explicit RespParser(std::size_t max_request) : max_request_(max_request) {}

  // `bytes` begin with the request. Where it is incomplete, the next call gets the same bytes and
  // more behind them, also elsewhere in memory.
  State parse(std::string_view bytes);

  // Of a complete request, until the next parse(). There may be none: an empty line, or "*0".
  const std::vector<std::string_view>& arguments() const { return arguments_; }
  std::size_t size() const { return at_; }

  // Of an incomplete request: it takes at least so many bytes.
  std::size_t wanted() const { return wanted_; }

  // Of a bad request: what Redis says of it.
  const std::string& error() const { return error_; }

 private:
  struct Piece {
    std::size_t at;
    std::size_t size;
  };

  State parse_inline(std::string_view bytes);
  State parse_array(std::string_view bytes);
  std::optional<std::string_view> take_line(std::string_view bytes);
  State want(std::size_t size);
  State refuse(std::string error);
  bool split(std::string_view line);

  const std::size_t max_request_;
  State state_ = State::complete;
  std::size_t at_ = 0;        // so far it is parsed
  std::size_t searched_ = 0;  // there is no end of a line before this
  std::size_t wanted_ = 1;
  std::int64_t missing_ = -1;    // arguments; -1 before the head of an array
  std::int64_t bulk_size_ = -1;  // -1 before the head of a bulk string
  std::vector<Piece> pieces_;
  std::vector<std::string_view> arguments_;
  std::string unquoted_;  // the arguments of a line
  std::string error_;
};

// Appends replies to `out`. A simple string and an error have no line ends.
void add_simple(std::string& out, std::string_view text);
void add_error(std::string& out, std::string_view text);
void add_integer(std::string& out, std::int64_t number);
void add_bulk(std::string& out, std::string_view bytes);
void add_nil(std::string& out);
void add_array(std::string& out, std::size_t size);  // its elements follow

// A decimal number as Redis takes it: no sign but "-", no spaces, no zeros in
// front.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Whether a name matches a pattern as "h?llo", "h*llo", "h[ae]llo", "h[^a-c]llo", "h\*llo". It
// takes time in proportion to the product of the sizes.
bool matches(std::string_view pattern, std::string_view name);

// The same in at most `steps` steps, from which it takes those that it needs. With 0 left it has
// given up, and the result says nothing.
bool matches(std::string_view pattern, std::string_view name, std::size_t& steps);

}  // namespace examples

#endif  // EPORE_EXAMPLES_RESP_H_
