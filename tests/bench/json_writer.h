#ifndef EPORE_TESTS_BENCH_JSON_WRITER_H_
#define EPORE_TESTS_BENCH_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace epore::bench {

// Writes one JSON value from the outside in, indented, with commas where they belong.
//
//   JsonWriter json;
//   json.begin_object();
//   json.field("name", "epore");
//   json.key("rates").begin_array();
//   for (double rate : rates) json.value(rate);
//   json.end_array();
//   json.end_object();
//   std::puts(json.text().c_str());
//
// Text is taken for UTF-8. Infinities and NaN, which JSON does not have, become null. That begins
// and ends match, and that keys stand only in objects, is up to the caller.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(double number);
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  template <typename Integer, typename = std::enable_if_t<std::is_integral_v<Integer>>>
  JsonWriter& value(Integer number) {
    return raw(std::to_string(number));
  }

  template <typename Value>
  JsonWriter& field(std::string_view name, const Value& content) {
    return key(name).value(content);
  }

  const std::string& text() const { return text_; }

 private:
  JsonWriter& begin(char bracket);
  JsonWriter& end(char bracket);
  JsonWriter& raw(std::string_view token);
  void separate();
  void new_line();
  void quote(std::string_view text);

  std::string text_;
  int depth_ = 0;
  bool is_empty_ = true;  // nothing yet in the innermost object or array
  bool after_key_ = false;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_JSON_WRITER_H_
