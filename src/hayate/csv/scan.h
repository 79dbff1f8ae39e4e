#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hayate/csv/kernel.h"

namespace hayate::csv {

struct Dialect {
  uint8_t delimiter = ',';
  uint8_t quote = '"';
};

/// What is known after the byte before the present one (RFC 4180; a quote opens a quoted field only
/// at its start).
enum class ScanMode : uint8_t {
  kFieldStart,  ///< after a separator, or at the start of the text
  kInField,     ///< in an unquoted field
  kQuoted,      ///< in a quoted field
  kQuoteEnd,    ///< after a quote in a quoted field: its end, or the first of two that mean one
};

inline constexpr int64_t kNowhere = -1;

/// Carried from one call to the next, so that text may be cut anywhere.
struct ScanState {
  ScanMode mode = ScanMode::kFieldStart;
  bool after_cr = false;        ///< the byte before is CR
  bool any_quote = false;       ///< some byte was a quote
  int64_t records = 0;          ///< record ends so far
  int64_t lines = 0;            ///< line ends so far, those in quotes too
  int64_t bad_byte = kNowhere;  ///< position of the first byte that follows a closing quote wrongly
};

/// Text after `end` that kernels may read (not use).
inline constexpr size_t kScanPaddingBytes = 64;

/// Writes to `out` the position of each separator in text[begin, end): delimiters and record ends
/// outside of quotes. A record ends at LF, at CR, and at the CR of CRLF (the LF then is nothing).
/// Returns the end of what was written: at most end − begin positions, and 8 more entries may be
/// scribbled on. Positions are below 2^32.
using ScanFunction = uint32_t*(Dialect dialect, const uint8_t* text, size_t begin, size_t end,
                               ScanState* state, uint32_t* out);

using ScanKernel = Kernel<ScanFunction>;

/// What this machine can run; see ListKernels.
const std::vector<ScanKernel>& ScanKernels();

/// The scalar kernel.
ScanFunction ScanScalar;

}  // namespace hayate::csv
