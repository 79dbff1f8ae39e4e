#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

namespace hayate::csv {

/// A growing array of plain values whose new elements are not initialised: what is reserved and
/// never written costs no memory. Growth keeps the elements. kFrontBytes before them may be read
/// (not used), so that words can be loaded that end where a value does.
template <typename T>
class PodBuffer {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);

 public:
  static constexpr size_t kFrontBytes = 32;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t capacity() const { return capacity_; }

  /// At least `capacity` elements. Throws std::bad_alloc, as all containers do.
  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    const size_t grown = std::max(capacity, capacity_ + capacity_ / 2);
    void* const moved = std::realloc(memory_.get(), kFrontBytes + grown * sizeof(T));
    if (moved == nullptr) throw std::bad_alloc();
    static_cast<void>(memory_.release());
    memory_.reset(static_cast<uint8_t*>(moved));
    data_ = reinterpret_cast<T*>(memory_.get() + kFrontBytes);
    capacity_ = grown;
  }

 private:
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint8_t, Free> memory_;
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace hayate::csv
