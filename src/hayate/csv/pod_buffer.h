#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

namespace hayate::csv {

/// A growing array of plain values whose new elements are not initialised: what is reserved and
/// never written costs no memory. Growth keeps the elements.
template <typename T>
class PodBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

  /// At least `capacity` elements. Throws std::bad_alloc, as all containers do.
  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    const size_t grown = std::max(capacity, capacity_ + capacity_ / 2);
    void* const moved = std::realloc(data_.get(), grown * sizeof(T));
    if (moved == nullptr) throw std::bad_alloc();
    static_cast<void>(data_.release());
    data_.reset(static_cast<T*>(moved));
    capacity_ = grown;
  }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
  size_t capacity_ = 0;
};

}  // namespace hayate::csv
