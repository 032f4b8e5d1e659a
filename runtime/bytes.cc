#include "epore/runtime/bytes.h"

#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

// The count of the holders with the bytes behind it, so that there is one allocation.
class Bytes::Copy final : public internal::RefCounted {
 public:
  static Copy* create(ByteView bytes) {
    void* const memory = ::operator new(sizeof(Copy) + bytes.size());
    Copy* const copy = ::new (memory) Copy();
    std::memcpy(copy->bytes(), bytes.data(), bytes.size());
    return copy;
  }

  // Not the sized one, which would be told the size without the bytes.
  static void operator delete(void* memory) { ::operator delete(memory); }

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

class Bytes::Taken final : public internal::RefCounted {
 public:
  explicit Taken(std::string&& text) : text_(std::move(text)) {}

  ByteView bytes() const { return text_; }

 private:
  const std::string text_;
};

Bytes::Bytes(ByteView bytes) {
  if (bytes.empty()) return;
  Copy* const copy = Copy::create(bytes);
  memory_ = internal::Ref<const internal::RefCounted>::adopt(copy);
  data_ = copy->bytes();
  size_ = bytes.size();
}

Bytes Bytes::take(std::string text) {
  if (text.empty()) return Bytes();
  Taken* const taken = new Taken(std::move(text));
  const ByteView bytes = taken->bytes();
  return Bytes(internal::Ref<const internal::RefCounted>::adopt(taken), bytes.data(), bytes.size());
}

}  // namespace epore
