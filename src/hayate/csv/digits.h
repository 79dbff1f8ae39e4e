#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hayate::csv {

// Decimal digits eight at a time, in the bytes of one word. Wojciech Muła, "SIMD-ized: faster
// parsing of integers" (2014), and the little-endian forms of Daniel Lemire, "Quickly parsing eight
// digits" (2018).
static_assert(std::endian::native == std::endian::little);

inline constexpr size_t kDigitsAtOnce = 8;

/// All that fit 64 bits.
inline constexpr auto kPowersOfTen = [] {
  std::array<uint64_t, 20> powers{};
  uint64_t power = 1;
  for (uint64_t& one : powers) {
    one = power;
    power *= 10;
  }
  return powers;
}();

inline uint64_t LoadEight(const uint8_t* text) {
  uint64_t word = 0;
  std::memcpy(&word, text, sizeof(word));
  return word;
}

/// The high bit of each byte of `values` that is more than 9; bits of bytes behind the first such
/// one may be wrong.
inline uint64_t NoDigits(uint64_t values) {
  return ((values + 0x7676767676767676) | values) & 0x8080808080808080;
}

/// Text less '0' in each byte.
inline uint64_t DigitValues(uint64_t word) { return word ^ 0x3030303030303030; }

/// Each byte's digit and the one of the byte behind it, as one number: byte i is 10 d(i) + d(i+1).
inline uint64_t DigitPairs(uint64_t values) { return values * 10 + (values >> 8); }

/// The number that eight digit values make.
inline uint64_t EightDigits(uint64_t values) {
  constexpr uint64_t kMask = 0x000000FF000000FF;
  constexpr uint64_t kHundreds = 100 + (uint64_t{1'000'000} << 32);
  constexpr uint64_t kOnes = 1 + (uint64_t{10'000} << 32);
  const uint64_t pairs = DigitPairs(values);
  return ((pairs & kMask) * kHundreds + ((pairs >> 16) & kMask) * kOnes) >> 32;
}

/// The number that the first `count` (1 to 8) bytes of `text` spell; false if one is no digit.
/// Eight bytes are read.
inline bool ReadUpToEight(const uint8_t* text, size_t count, uint64_t* out) {
  // Moved to the end of the word, with zeros before them.
  const uint64_t values = DigitValues(LoadEight(text)) << (64 - 8 * count);
  *out = EightDigits(values);
  return NoDigits(values) == 0;
}

/// The same for 9 to 19 digits, which all fit 64 bits. `count` bytes and up to 7 more are read.
inline bool ReadNineToNineteen(const uint8_t* text, size_t count, uint64_t* out) {
  constexpr uint64_t kScale = 100'000'000;
  const uint64_t last = DigitValues(LoadEight(text + count - kDigitsAtOnce));
  uint64_t no_digits = NoDigits(last);
  count -= kDigitsAtOnce;
  uint64_t head = 0;
  if (count > kDigitsAtOnce) {
    const uint64_t middle = DigitValues(LoadEight(text + count - kDigitsAtOnce));
    no_digits |= NoDigits(middle);
    uint64_t first = 0;
    if (!ReadUpToEight(text, count - kDigitsAtOnce, &first)) return false;
    head = first * kScale + EightDigits(middle);
  } else if (!ReadUpToEight(text, count, &head)) {
    return false;
  }
  *out = head * kScale + EightDigits(last);
  return no_digits == 0;
}

/// The same for 1 to 19 digits.
inline bool ReadUpToNineteen(const uint8_t* text, size_t count, uint64_t* out) {
  return count <= kDigitsAtOnce ? ReadUpToEight(text, count, out)
                                : ReadNineToNineteen(text, count, out);
}

/// The number that the `count` (1 to 19) bytes before `end` spell, without a branch; false if one
/// is no digit. 24 bytes before `end` are read.
inline bool ReadBackNineteen(const uint8_t* end, size_t count, uint64_t* out) {
  constexpr uint64_t kScale = 100'000'000;
  // Entry i keeps the last i bytes of a word.
  constexpr std::array<uint64_t, kDigitsAtOnce + 1> kKeep = [] {
    std::array<uint64_t, kDigitsAtOnce + 1> masks{};
    for (size_t i = 1; i <= kDigitsAtOnce; ++i) masks[i] = ~uint64_t{0} << (64 - 8 * i);
    return masks;
  }();
  const auto word = [&](size_t before) {
    const size_t kept = count > before ? std::min(count - before, kDigitsAtOnce) : 0;
    return DigitValues(LoadEight(end - before - kDigitsAtOnce)) & kKeep[kept];
  };
  const uint64_t last = word(0);
  const uint64_t middle = word(kDigitsAtOnce);
  const uint64_t first = word(2 * kDigitsAtOnce);
  *out = (EightDigits(first) * kScale + EightDigits(middle)) * kScale + EightDigits(last);
  return (NoDigits(last) | NoDigits(middle) | NoDigits(first)) == 0;
}

}  // namespace hayate::csv
