#pragma once

#include <cstdint>
#include <span>

namespace hayate::cloud {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes that follow others with the checksum `crc`;
/// 0 before the first.
uint32_t Crc32c(uint32_t crc, std::span<const uint8_t> bytes);

}  // namespace hayate::cloud
