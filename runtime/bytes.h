#ifndef EPORE_RUNTIME_BYTES_H_
#define EPORE_RUNTIME_BYTES_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

// Bytes are bytes that many hold and nobody changes. A connection sends them without a copy, so one
// message to 10,000 connections is one piece of memory:
//
//   const epore::Bytes message(absl::StrCat(name, ": ", line, "\n"));
//   for (epore::Connection& member : members) member.send(message);
//
// Threads: any. The bytes never change, and the count of the holders is atomic.
//
// Ownership, lifetime: copies and slices name the same memory, and the last one frees it. What a
// connection has still to send counts as a copy.
//
// Edges: what a connection holds may be a small slice of a large piece of memory, and keeps all of
// it.
class Bytes {
 public:
  Bytes() = default;  // empty, without memory
  Bytes(const Bytes&) = default;
  Bytes(Bytes&& other) noexcept  // which is empty then
      : memory_(std::move(other.memory_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Bytes& operator=(const Bytes&) = default;
  Bytes& operator=(Bytes&& other) noexcept {
    Bytes moved(std::move(other));
    std::swap(memory_, moved.memory_);
    std::swap(data_, moved.data_);
    std::swap(size_, moved.size_);
    return *this;
  }

  // Copies `bytes` into memory of their own. Throws std::bad_alloc.
  explicit Bytes(ByteView bytes);

  // Takes over the memory of a string. Throws std::bad_alloc.
  template <std::same_as<std::string> T>
  explicit Bytes(T&& text) : Bytes(take(std::move(text))) {}

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  operator ByteView() const { return {data_, size_}; }
  std::string_view text() const { return ByteView(*this).text(); }

  // The part from `offset` on, of at most `count` bytes. It is empty behind the end.
  Bytes slice(std::size_t offset, std::size_t count = std::string_view::npos) const {
    offset = std::min(offset, size_);
    return Bytes(memory_, data_ + offset, std::min(count, size_ - offset));
  }

 private:
  class Copy;
  class Taken;

  static Bytes take(std::string text);

  Bytes(internal::Ref<const internal::RefCounted> memory, const std::byte* data, std::size_t size)
      : memory_(std::move(memory)), data_(data), size_(size) {}

  internal::Ref<const internal::RefCounted> memory_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_BYTES_H_
