#ifndef EPORE_RUNTIME_BYTE_VIEW_H_
#define EPORE_RUNTIME_BYTE_VIEW_H_

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace epore {

// A ByteView is bytes that belong to somebody else, as std::string_view is text. Its condition is
// whether there are any:
//
//   while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
class ByteView : public std::span<const std::byte> {
 public:
  constexpr ByteView() = default;
  constexpr ByteView(const std::byte* data, std::size_t size)
      : std::span<const std::byte>(data, size) {}

  // Bytes: a span, a vector or an array of std::byte.
  template <std::convertible_to<std::span<const std::byte>> T>
  requires(!std::derived_from<T, ByteView>) constexpr ByteView(const T& bytes)
      : std::span<const std::byte>(bytes) {}

  // Text: a std::string, a std::string_view, a literal.
  template <std::convertible_to<std::string_view> T>
  requires(!std::convertible_to<T, std::span<const std::byte>>) ByteView(const T& text)
      : ByteView(std::as_bytes(std::span(std::string_view(text)))) {}

  // Not a buffer of characters, as text would end at its first zero. Literals are right.
  template <std::size_t N>
  ByteView(char (&)[N]) = delete;  // a buffer: write std::string_view(buffer, size)

  constexpr explicit operator bool() const { return !empty(); }

  // The same bytes as text.
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size()}; }
  operator std::string_view() const { return text(); }
};

}  // namespace epore

#endif  // EPORE_RUNTIME_BYTE_VIEW_H_
