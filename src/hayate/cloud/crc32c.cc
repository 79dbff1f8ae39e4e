#include "hayate/cloud/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>

namespace hayate::cloud {

uint32_t Crc32c(uint32_t crc, std::span<const uint8_t> bytes) {
  // ISA-L takes an int as the length, leaves inverting to the caller, and writes to nothing.
  constexpr size_t kMostBytes = 1 << 30;
  uint32_t inverted = ~crc;
  while (!bytes.empty()) {
    const size_t n = std::min(bytes.size(), kMostBytes);
    inverted = crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(n), inverted);
    bytes = bytes.subspan(n);
  }
  return ~inverted;
}

}  // namespace hayate::cloud
