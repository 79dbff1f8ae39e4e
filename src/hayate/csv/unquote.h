#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hayate/csv/kernel.h"

namespace hayate::csv {

/// What a kernel may read behind the text, and write behind what it has copied.
inline constexpr size_t kUnquotePaddingBytes = 64;

/// Copies the text between a field's outer quotes and makes two quotes one, as AppendUnescaped does
/// where there is no escape: of a quote and what follows it, the latter. Returns the bytes copied:
/// at most `size`.
using UnquoteFunction = size_t(const uint8_t* text, size_t size, uint8_t quote, uint8_t* out);

/// The best kernel for this machine.
UnquoteFunction* Unquote();

/// What this machine can run; see ListKernels.
const std::vector<Kernel<UnquoteFunction>>& UnquoteKernels();

}  // namespace hayate::csv
