#pragma once

#include <cstdint>
#include <string_view>

namespace hayate::csv {

/// Whether every byte is below 0x80.
bool IsAscii(std::string_view text);

/// Offset of the first byte that no well-formed UTF-8 sequence covers (Unicode 15, table 3-7), or
/// −1.
int64_t FindInvalidUtf8(std::string_view text);

}  // namespace hayate::csv
