#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hayate/csv/kernel.h"

namespace hayate::csv {

/// Whether every byte is below 0x80.
bool IsAscii(std::string_view text);

/// Offset of the first byte that no well-formed UTF-8 sequence covers (Unicode 15, table 3-7), or
/// −1.
int64_t FindInvalidUtf8(std::string_view text);

/// Whether a text is well-formed, by the best kernel: some times as fast as FindInvalidUtf8, which
/// is the scalar one.
bool IsUtf8(std::string_view text);

using IsUtf8Function = bool(const uint8_t* text, size_t size);

/// What this machine can run; see ListKernels.
const std::vector<Kernel<IsUtf8Function>>& Utf8Kernels();

}  // namespace hayate::csv
