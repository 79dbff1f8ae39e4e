#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hayate/csv/dialect.h"
#include "hayate/csv/kernel.h"

namespace hayate::csv {

/// What is known after the byte before the present one.
enum class ScanMode : uint8_t {
  kRecordStart,    ///< after a record end, or at the start of the text
  kFieldStart,     ///< after a delimiter, or after blanks that are nothing
  kInField,        ///< in an unquoted field
  kQuoted,         ///< in a quoted field
  kQuoteEnd,       ///< after a quote in a quoted field: its end, or the first of two that mean one
  kCommentPrefix,  ///< at the start of a record, after some bytes of the prefix
  kComment,        ///< in a line that is nothing
};

inline constexpr int64_t kNowhere = -1;

/// Carried from one call to the next, so that text may be cut anywhere.
struct ScanState {
  ScanMode mode = ScanMode::kRecordStart;
  bool after_cr = false;        ///< the byte before is CR
  bool after_escape = false;    ///< the byte before is an escape that is not escaped itself
  uint8_t prefix_bytes = 0;     ///< in kCommentPrefix: of the prefix, those that have come
  bool any_quote = false;       ///< some byte was a quote
  bool any_escape = false;      ///< some byte was an escape
  bool any_comment = false;     ///< some line was a comment
  int64_t records = 0;          ///< record ends so far
  int64_t lines = 0;            ///< line ends so far, those in quotes too
  int64_t bad_byte = kNowhere;  ///< position of the first byte that follows a closing quote wrongly
};

/// Text after `end` that kernels may read (not use).
inline constexpr size_t kScanPaddingBytes = 64;

/// Writes to `out` the position of each separator in text[begin, end): delimiters and record ends
/// outside of quotes. A record ends at LF, at CR, and at the CR of CRLF (the LF then is nothing). A
/// comment is a record without delimiters.
/// Returns the end of what was written: at most end − begin positions, and 8 more entries may be
/// scribbled on. Positions are below 2^32.
using ScanFunction = uint32_t*(const Dialect& dialect, const uint8_t* text, size_t begin,
                               size_t end, ScanState* state, uint32_t* out);

using ScanKernel = Kernel<ScanFunction>;

/// What this machine can run; see ListKernels.
const std::vector<ScanKernel>& ScanKernels();

/// The scalar kernel.
ScanFunction ScanScalar;

}  // namespace hayate::csv
