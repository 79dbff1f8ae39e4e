#pragma once

#include <cstdint>
#include <span>

#include "hayate/base/status.h"

namespace hayate {

/// Whether guarded buffers have guards: only in sanitized builds.
#ifdef HAYATE_SANITIZED
inline constexpr bool kGuardsBuffers = true;
#else
inline constexpr bool kGuardsBuffers = false;
#endif

/// Memory for code that no sanitizer sees (ISA-L is assembly). In sanitized builds a page without
/// any access follows its last byte, so that an overrun traps by itself; in others it comes from
/// the heap, where it is used again without new pages. Not initialised.
class GuardedBuffer {
 public:
  GuardedBuffer() = default;
  static Result<GuardedBuffer> Make(size_t bytes);
  ~GuardedBuffer();
  GuardedBuffer(GuardedBuffer&& other) noexcept;
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept;

  std::span<uint8_t> bytes() const { return bytes_; }

 private:
  uint8_t* memory_ = nullptr;
  size_t mapped_bytes_ = 0;   // 0: of the heap
  std::span<uint8_t> bytes_;  // the end of what may be used of the memory
};

}  // namespace hayate
