#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "hayate/csv/calendar.h"
#include "hayate/csv/digits.h"
#include "hayate/csv/scaled_double.h"

namespace hayate::csv {

// The form that nearly every value of a type has, parsed without a loop over its bytes. True: *out
// is what the function of parse.h gives. False: ask that one; it also knows what is wrong. Up to
// kQuickReadBytes from `text` and kQuickFrontBytes before it are read, whatever `size` is.
inline constexpr size_t kQuickReadBytes = 40;
inline constexpr size_t kQuickFrontBytes = 24;

/// [-] digits.
[[gnu::always_inline]] inline bool QuickInt64(const uint8_t* text, size_t size, int64_t* out) {
  const bool negative = *text == '-';
  text += negative ? 1 : 0;
  size -= negative ? 1 : 0;
  if (size - 1 >= kMostDigits) return false;
  uint64_t value = 0;
  if (!ReadUpToNineteen(text + size, size, &value)) return false;
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  const auto magnitude = static_cast<int64_t>(value);
  *out = negative ? -magnitude : magnitude;
  return true;
}

namespace internal {

/// Where the point is among the first sixteen bytes; 16 if there is none.
[[gnu::always_inline]] inline size_t FindPoint(const uint8_t* text) {
  // A zero byte of `word` is a point; the lowest bit that marks one is right.
  const auto marks = [](uint64_t word) {
    word ^= 0x2E2E2E2E2E2E2E2E;
    return (word - 0x0101010101010101) & ~word & 0x8080808080808080;
  };
  uint64_t found = marks(LoadEight(text));
  size_t before = 0;
  if (found == 0) [[unlikely]] {
    found = marks(LoadEight(text + kDigitsAtOnce));
    before = kDigitsAtOnce;
  }
  return before + static_cast<size_t>(std::countr_zero(found)) / 8;
}

}  // namespace internal

/// [-] digits [. digits], up to 19 digits, with the point among the first sixteen bytes. `*real`:
/// there is a point.
[[gnu::always_inline]] inline bool QuickDouble(const uint8_t* text, size_t size, double* out,
                                               bool* real) {
  const bool negative = *text == '-';
  text += negative ? 1 : 0;
  size -= negative ? 1 : 0;
  if (size - 1 >= kMostDigits + 1) return false;
  const size_t whole = internal::FindPoint(text);
  uint64_t digits = 0;
  size_t places = 0;
  *real = whole < size && whole < 2 * kDigitsAtOnce;
  if (*real) {
    places = size - whole - 1;
    if (whole == 0 || places == 0) return false;
    uint64_t fraction = 0;
    // Fractions have many lengths: nothing here depends on them.
    if (!ReadBackSixteen(text + whole, whole, &digits) ||
        !ReadBackNineteen(text + size, places, &fraction)) {
      return false;
    }
    digits = digits * kPowersOfTen[places] + fraction;
  } else if (size > kMostDigits || !ReadUpToNineteen(text + size, size, &digits)) {
    return false;
  }
  const double value = ScaledDouble(digits, size - (*real ? 1 : 0), places);
  // No branch: of half of the values the sign would be guessed wrong.
  *out = std::bit_cast<double>(std::bit_cast<uint64_t>(value) | uint64_t{negative} << 63);
  return true;
}

namespace internal {

constexpr uint64_t Byte(uint64_t word, size_t at) { return (word >> (8 * at)) & 0xFF; }

/// YYYY-MM-DD…: `head` and `tail` are its first bytes and those from byte 8 on, less '0'.
[[gnu::always_inline]] inline bool QuickDays(uint64_t head, uint64_t tail, int32_t* days) {
  constexpr uint64_t kDash = '-' ^ '0';
  constexpr uint64_t kDashes = (kDash << 32) | (kDash << 56);
  head ^= kDashes;  // a dash becomes a zero, anything else does not
  constexpr uint64_t kDashMask = (uint64_t{0xFF} << 32) | (uint64_t{0xFF} << 56);
  if (NoDigits(head) != 0 || (head & kDashMask) != 0 || NoDigits(tail & 0xFFFF) != 0) return false;
  const uint64_t pairs = DigitPairs(head);
  const auto year = static_cast<uint32_t>(Byte(pairs, 0) * 100 + Byte(pairs, 2));
  const auto month = static_cast<uint32_t>(Byte(pairs, 5));
  const auto day = static_cast<uint32_t>(Byte(DigitPairs(tail & 0xFFFF), 0));
  if (year == 0 || month - 1 > 11 || !IsDayOfMonth(year, month, day)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

}  // namespace internal

inline constexpr size_t kDateBytes = 10;
inline constexpr size_t kTimestampBytes = 19;  // without fraction and zone

/// YYYY-MM-DD.
[[gnu::always_inline]] inline bool QuickDate(const uint8_t* text, size_t size, int32_t* days) {
  if (size != kDateBytes) return false;
  return internal::QuickDays(DigitValues(LoadEight(text)), DigitValues(LoadEight(text + 8)), days);
}

/// YYYY-MM-DD, a blank or T, HH:MM:SS, up to seven digits of a fraction, and what the zone may be:
/// nothing (`no_zone`), ` UTC` or Z (`zone`). `digits_of_unit`: how many the unit holds.
[[gnu::always_inline]] inline bool QuickTimestamp(const uint8_t* text, size_t size,
                                                  size_t digits_of_unit, bool zone, bool no_zone,
                                                  int64_t* out) {
  if (size < kTimestampBytes) return false;
  constexpr uint64_t kColon = ':' ^ '0';
  // The bytes from 8 on: DD HH:MM, then :SS.
  uint64_t middle = DigitValues(LoadEight(text + 8));
  const uint64_t separator = text[kDateBytes];
  int32_t days = 0;
  if (!internal::QuickDays(DigitValues(LoadEight(text)), middle, &days)) return false;
  middle &= ~(uint64_t{0xFF} << 16);
  middle ^= kColon << 40;
  uint64_t end = DigitValues(LoadEight(text + 16)) & 0xFFFFFF;
  end ^= kColon;
  if ((separator != ' ' && separator != 'T') || NoDigits(middle) != 0 || NoDigits(end) != 0 ||
      internal::Byte(middle, 5) != 0 || internal::Byte(end, 0) != 0) {
    return false;
  }
  const uint64_t pairs = DigitPairs(middle);
  const uint64_t hours = internal::Byte(pairs, 3);
  const uint64_t minutes = internal::Byte(pairs, 6);
  const uint64_t seconds = internal::Byte(DigitPairs(end), 1);
  if (hours > 23 || minutes > 59 || seconds > 59) return false;
  int64_t value =
      int64_t{days} * 86'400 + static_cast<int64_t>(hours * 3'600 + minutes * 60 + seconds);
  size_t at = kTimestampBytes;
  uint64_t fraction = 0;
  size_t digits = 0;
  if (size > at && text[at] == '.') {
    const uint64_t values = DigitValues(LoadEight(text + at + 1));
    digits = static_cast<size_t>(std::countr_zero(NoDigits(values))) / 8;
    if (digits == 0 || digits > digits_of_unit || digits == kDigitsAtOnce) return false;
    at += 1 + digits;
    if (at > size) return false;
    fraction = EightDigits(values << (64 - 8 * digits));
  }
  const size_t rest = size - at;
  const bool utc =
      rest == 4 && static_cast<uint32_t>(LoadEight(text + at)) == 0x43545520;  // " UTC"
  if (!((zone && (utc || (rest == 1 && text[at] == 'Z'))) || (no_zone && rest == 0))) return false;
  // What does not fit 64 bits is not quick: only nanoseconds can overflow.
  if (__builtin_mul_overflow(value, static_cast<int64_t>(kPowersOfTen[digits_of_unit]), &value))
    return false;
  return !__builtin_add_overflow(
      value, static_cast<int64_t>(fraction * kPowersOfTen[digits_of_unit - digits]), out);
}

}  // namespace hayate::csv
