#ifndef EPORE_RUNTIME_INTERNAL_BASE_REF_H_
#define EPORE_RUNTIME_INTERNAL_BASE_REF_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <utility>

namespace epore::internal {

// Base of an object that counts its references: one word, in the object, so that a handle is one
// pointer and a queue entry needs no allocation.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  // Relaxed: whoever adds a reference has one, so nothing can be freed meanwhile.
  void add_ref() const { references_.fetch_add(1, std::memory_order_relaxed); }

  // For those that know of the object without a reference, under a lock that its destructor takes:
  // false if it is being destroyed.
  bool try_add_ref() const {
    std::uint32_t count = references_.load(std::memory_order_relaxed);
    while (count != 0) {
      if (references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // For the holder of the only one: nobody else will come by another.
  bool is_only_reference() const { return references_.load(std::memory_order_acquire) == 1; }

  // Release by each, acquire by the last: the destructor sees what every holder did.
  void drop_ref() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  virtual ~RefCounted() = default;

 private:
  mutable std::atomic<std::uint32_t> references_{1};
};

// An owning pointer to a RefCounted. T may be incomplete where no reference is copied or dropped.
template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) : object_(other.object_) {
    if (object_ != nullptr) object_->add_ref();
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename Derived>
  Ref(Ref<Derived>&& other) noexcept requires std::convertible_to<Derived*, T*>
      : object_(other.release()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->drop_ref();
  }

  // Takes over a reference that the caller has, or adds one of its own.
  static Ref adopt(T* object) { return Ref(object); }
  static Ref share(T* object) {
    object->add_ref();
    return Ref(object);
  }

  // Gives the reference away without dropping it.
  [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  explicit Ref(T* object) : object_(object) {}

  T* object_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_REF_H_
