#ifndef EPORE_RUNTIME_INTERNAL_BASE_REF_H_
#define EPORE_RUNTIME_INTERNAL_BASE_REF_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <utility>

namespace epore::internal {

// The base of an object that counts its references. The count is in the object, so a handle is one
// pointer, and a queue of such objects needs no allocation.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  // Requires a reference of the caller's. Relaxed: the object cannot go away meanwhile.
  void add_ref() const { references_.fetch_add(1, std::memory_order_relaxed); }

  // Adds a reference unless the object is being destroyed. For a caller without a reference, who
  // holds a lock that the destructor takes as well.
  bool try_add_ref() const {
    std::uint32_t count = references_.load(std::memory_order_relaxed);
    while (count != 0) {
      if (references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // Whether the caller's reference is the only one. Nobody else can then get another one.
  bool is_only_reference() const { return references_.load(std::memory_order_acquire) == 1; }

  // Each drop releases and the last one acquires: the destructor sees what every holder did.
  void drop_ref() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  virtual ~RefCounted() = default;

 private:
  // The number of references. Any thread adds (relaxed) and drops (acq_rel).
  mutable std::atomic<std::uint32_t> references_{1};
};

// An owning pointer to a RefCounted. T may be incomplete where a Ref is neither copied nor dropped.
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

  // adopt() takes over the caller's reference. share() adds a reference.
  static Ref adopt(T* object) { return Ref(object); }
  static Ref share(T* object) {
    object->add_ref();
    return Ref(object);
  }

  // Returns the object and gives its reference to the caller.
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
