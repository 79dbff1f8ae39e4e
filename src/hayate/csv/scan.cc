#include "hayate/csv/scan.h"

#include <bit>
#include <cstring>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "hayate/csv/scan.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// This file is compiled once for each target of Highway (foreach_target.h includes it again).
HWY_BEFORE_NAMESPACE();
namespace hayate::csv {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kChunk = 64;

// One bit per byte of a chunk.
struct Masks {
  uint64_t delimiter = 0;
  uint64_t quote = 0;
  uint64_t line_feed = 0;
  uint64_t carriage_return = 0;
};

#if HWY_TARGET == HWY_SCALAR
Masks MasksOf(const Dialect& dialect, const uint8_t* chunk) {
  Masks masks;
  for (size_t i = 0; i < kChunk; ++i) {
    const uint64_t bit = uint64_t{1} << i;
    if (chunk[i] == dialect.delimiter) masks.delimiter |= bit;
    if (chunk[i] == dialect.quote) masks.quote |= bit;
    if (chunk[i] == '\n') masks.line_feed |= bit;
    if (chunk[i] == '\r') masks.carriage_return |= bit;
  }
  return masks;
}
#else
Masks MasksOf(const Dialect& dialect, const uint8_t* chunk) {
  const hn::CappedTag<uint8_t, kChunk> d;
  const size_t lanes = hn::Lanes(d);
  const auto delimiter = hn::Set(d, dialect.delimiter);
  const auto quote = hn::Set(d, dialect.quote);
  const auto line_feed = hn::Set(d, uint8_t{'\n'});
  const auto carriage_return = hn::Set(d, uint8_t{'\r'});
  // StoreMaskBits writes whole bytes: lanes / 8 of them, little-endian as x86-64 and ARM64 are.
  uint8_t bits[4][kChunk / 8 + 8] = {};
  for (size_t i = 0; i < kChunk; i += lanes) {
    const auto bytes = hn::LoadU(d, chunk + i);
    hn::StoreMaskBits(d, hn::Eq(bytes, delimiter), bits[0] + i / 8);
    hn::StoreMaskBits(d, hn::Eq(bytes, quote), bits[1] + i / 8);
    hn::StoreMaskBits(d, hn::Eq(bytes, line_feed), bits[2] + i / 8);
    hn::StoreMaskBits(d, hn::Eq(bytes, carriage_return), bits[3] + i / 8);
  }
  Masks masks;
  hwy::CopyBytes<8>(bits[0], &masks.delimiter);
  hwy::CopyBytes<8>(bits[1], &masks.quote);
  hwy::CopyBytes<8>(bits[2], &masks.line_feed);
  hwy::CopyBytes<8>(bits[3], &masks.carriage_return);
  return masks;
}
#endif

// Bit i: the parity of bits 0…i.
uint64_t PrefixXor(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

uint32_t* Emit(uint64_t bits, size_t base, uint32_t* out) {
  constexpr int kUnrolled = 8;
  const int count = std::popcount(bits);
  uint32_t* const end = out + count;
  // In rounds of eight without a branch each; what is written past `end` is scribble.
  while (out < end) {
    for (int i = 0; i < kUnrolled; ++i) {
      out[i] = static_cast<uint32_t>(base + static_cast<size_t>(std::countr_zero(bits)));
      bits &= bits - 1;
    }
    out += kUnrolled;
  }
  return end;
}

constexpr uint64_t Bit(bool value) { return value ? 1 : 0; }
constexpr bool LastBit(uint64_t bits) { return (bits >> 63) != 0; }

// Whether a chunk may hold what only the oracle understands: an escape, a comment, or blanks at its
// end that may be nothing.
bool NeedsOracle(const Dialect& dialect, const uint8_t* chunk, const ScanState& state) {
  if (state.after_escape || state.mode == ScanMode::kComment ||
      state.mode == ScanMode::kCommentPrefix) {
    return true;
  }
  if (dialect.skip_initial_space && chunk[kChunk - 1] == ' ') return true;
  if (dialect.has_escape && std::memchr(chunk, dialect.escape, kChunk) != nullptr) return true;
  return !dialect.comment_prefix.empty() &&
         std::memchr(chunk, dialect.comment_prefix[0], kChunk) != nullptr;
}

template <bool kPlain>
uint32_t* Scan(const Dialect& dialect, const uint8_t* text, size_t begin, size_t end,
               ScanState* state, uint32_t* out) {
  const uint64_t quoting = dialect.has_quote ? ~uint64_t{0} : 0;
  size_t at = begin;
  for (; at + kChunk <= end; at += kChunk) {
    if (!kPlain && NeedsOracle(dialect, text + at, *state)) {
      out = ScanScalar(dialect, text, at, at + kChunk, state, out);
      continue;
    }
    Masks masks = MasksOf(dialect, text + at);
    masks.quote &= quoting;
    const uint64_t line_ends =
        masks.carriage_return |
        (masks.line_feed & ~((masks.carriage_return << 1) | Bit(state->after_cr)));
    const uint64_t any_separator = masks.delimiter | masks.line_feed | masks.carriage_return;
    uint64_t quoted = 0;
    uint64_t closers = 0;
    if (masks.quote == 0 && state->mode != ScanMode::kQuoteEnd) [[likely]] {
      quoted = state->mode == ScanMode::kQuoted ? ~uint64_t{0} : 0;
    } else {
      // From an opening quote up to before the closing one. Right as long as every quote toggles,
      // which is checked: an opening one follows a separator or a closing one (two mean one), a
      // closing one is followed by a separator or a quote. Anything else is for the oracle.
      quoted = PrefixXor(masks.quote) ^ (state->mode == ScanMode::kQuoted ? ~uint64_t{0} : 0);
      closers = masks.quote & ~quoted;
      const uint64_t openers = masks.quote & quoted;
      const uint64_t field_starts =
          ((any_separator & ~quoted) << 1) |
          Bit(state->mode == ScanMode::kRecordStart || state->mode == ScanMode::kFieldStart);
      const uint64_t after_closer = (closers << 1) | Bit(state->mode == ScanMode::kQuoteEnd);
      if ((openers & ~(field_starts | after_closer)) != 0 ||
          (after_closer & ~(masks.quote | any_separator)) != 0) {
        out = ScanScalar(dialect, text, at, at + kChunk, state, out);
        continue;
      }
      state->any_quote |= masks.quote != 0;
    }
    state->lines += std::popcount(line_ends);
    state->records += std::popcount(line_ends & ~quoted);
    out = Emit((masks.delimiter | line_ends) & ~quoted, at, out);
    state->after_cr = LastBit(masks.carriage_return);
    if (LastBit(quoted)) {
      state->mode = ScanMode::kQuoted;
    } else if (LastBit(closers)) {
      state->mode = ScanMode::kQuoteEnd;
    } else if (LastBit(any_separator)) {
      state->mode = LastBit(masks.delimiter) ? ScanMode::kFieldStart : ScanMode::kRecordStart;
    } else {
      state->mode = ScanMode::kInField;
    }
  }
  return ScanScalar(dialect, text, at, end, state, out);
}

}  // namespace

uint32_t* ScanWide(const Dialect& dialect, const uint8_t* text, size_t begin, size_t end,
                   ScanState* state, uint32_t* out) {
  return dialect.is_plain() ? Scan<true>(dialect, text, begin, end, state, out)
                            : Scan<false>(dialect, text, begin, end, state, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace hayate::csv
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hayate::csv {
namespace {

HWY_EXPORT(ScanWide);

}  // namespace

const std::vector<ScanKernel>& ScanKernels() {
  static const auto* const kernels = new std::vector<ScanKernel>(
      ListKernels<ScanFunction>(HWY_DISPATCH_TABLE(ScanWide), &ScanScalar));
  return *kernels;
}

}  // namespace hayate::csv
#endif  // HWY_ONCE
