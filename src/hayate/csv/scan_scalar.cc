#include "hayate/csv/scan.h"

namespace hayate::csv {

uint32_t* ScanScalar(Dialect dialect, const uint8_t* text, size_t begin, size_t end,
                     ScanState* state, uint32_t* out) {
  ScanMode mode = state->mode;
  bool after_cr = state->after_cr;
  for (size_t at = begin; at < end; ++at) {
    const uint8_t byte = text[at];
    const bool line_feed_of_crlf = byte == '\n' && after_cr;
    const bool line_end = byte == '\r' || (byte == '\n' && !after_cr);
    after_cr = byte == '\r';
    state->lines += line_end ? 1 : 0;
    if (byte == dialect.quote) {
      state->any_quote = true;
      if (mode == ScanMode::kFieldStart || mode == ScanMode::kQuoteEnd) {
        mode = ScanMode::kQuoted;
      } else if (mode == ScanMode::kQuoted) {
        mode = ScanMode::kQuoteEnd;
      }
      continue;
    }
    if (mode == ScanMode::kQuoted) continue;
    if (line_feed_of_crlf) continue;
    if (line_end || byte == dialect.delimiter) {
      *out++ = static_cast<uint32_t>(at);
      state->records += line_end ? 1 : 0;
      mode = ScanMode::kFieldStart;
      continue;
    }
    if (mode == ScanMode::kQuoteEnd && state->bad_byte == kNowhere) {
      state->bad_byte = static_cast<int64_t>(at);
    }
    mode = ScanMode::kInField;
  }
  state->mode = mode;
  state->after_cr = after_cr;
  return out;
}

}  // namespace hayate::csv
