#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

namespace hayate::csv {

// Decimal digits eight at a time, in the bytes of one word. Wojciech Muła, "SIMD-ized: faster
// parsing of integers" (2014), and the little-endian forms of Daniel Lemire, "Quickly parsing eight
// digits" (2018).
static_assert(std::endian::native == std::endian::little);

inline constexpr size_t kDigitsAtOnce = 8;
/// As many as always fit 64 bits.
inline constexpr size_t kMostDigits = 19;

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
[[gnu::always_inline]] inline bool ReadUpToEight(const uint8_t* text, size_t count, uint64_t* out) {
  // Moved to the end of the word, with zeros before them.
  const uint64_t values = DigitValues(LoadEight(text)) << (64 - 8 * count);
  *out = EightDigits(values);
  return NoDigits(values) == 0;
}

/// The number that the `count` (0 to 16) bytes before `end` spell, without a branch; false if one
/// is no digit. 16 bytes before `end` are read.
[[gnu::always_inline]] inline bool ReadBackSixteen(const uint8_t* end, size_t count,
                                                   uint64_t* out) {
  constexpr uint64_t kScale = 100'000'000;
  constexpr size_t kBytes = 2 * kDigitsAtOnce;
  // From byte i on: a mask of the last i bytes.
  static constexpr auto kKeep = [] {
    std::array<uint8_t, 2 * kBytes> bytes{};
    for (size_t i = kBytes; i < bytes.size(); ++i) bytes[i] = 0xFF;
    return bytes;
  }();
#if defined(__SSE4_1__)
  // Digits to pairs to fours to eights (Muła), all sixteen at once.
  const auto load = [](const uint8_t* bytes) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  };
  const __m128i digits = _mm_and_si128(_mm_xor_si128(load(end - kBytes), _mm_set1_epi8('0')),
                                       load(kKeep.data() + count));
  const __m128i no_digits = _mm_subs_epu8(digits, _mm_set1_epi8(9));
  const __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
  const __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
  const auto both = static_cast<uint64_t>(_mm_cvtsi128_si64(eights));
  *out = (both & 0xFFFFFFFF) * kScale + (both >> 32);
  return _mm_testz_si128(no_digits, no_digits) != 0;
#else
  const uint64_t first = DigitValues(LoadEight(end - kBytes)) & LoadEight(kKeep.data() + count);
  const uint64_t last =
      DigitValues(LoadEight(end - kDigitsAtOnce)) & LoadEight(kKeep.data() + count + kDigitsAtOnce);
  *out = EightDigits(first) * kScale + EightDigits(last);
  return (NoDigits(first) | NoDigits(last)) == 0;
#endif
}

/// The same for 0 to 19 bytes, with a branch on whether there are more than 16.
[[gnu::always_inline]] inline bool ReadUpToNineteen(const uint8_t* end, size_t count,
                                                    uint64_t* out) {
  constexpr size_t kMostLast = 2 * kDigitsAtOnce;
  if (count <= kMostLast) [[likely]]
    return ReadBackSixteen(end, count, out);
  uint64_t first = 0;
  uint64_t last = 0;
  if (!ReadUpToEight(end - count, count - kMostLast, &first) ||
      !ReadBackSixteen(end, kMostLast, &last)) {
    return false;
  }
  *out = first * kPowersOfTen[kMostLast] + last;
  return true;
}

/// The same without a branch, where there may be any number of them; 24 before `end` are read.
[[gnu::always_inline]] inline bool ReadBackNineteen(const uint8_t* end, size_t count,
                                                    uint64_t* out) {
  constexpr size_t kMostLast = 2 * kDigitsAtOnce;
  // Of the word before the last sixteen bytes, the digits that are left for it.
  static constexpr auto kKeep = [] {
    std::array<uint64_t, kMostDigits + 1> masks{};
    for (size_t i = kMostLast + 1; i <= kMostDigits; ++i) {
      masks[i] = ~uint64_t{0} << (64 - 8 * (i - kMostLast));
    }
    return masks;
  }();
  uint64_t last = 0;
  const bool good = ReadBackSixteen(end, std::min(count, kMostLast), &last);
  const uint64_t first = DigitValues(LoadEight(end - kMostLast - kDigitsAtOnce)) & kKeep[count];
  // At most three, in the highest bytes.
  const uint64_t hundreds = ((DigitPairs(first) >> 40) & 0xFF) * 10 + (first >> 56);
  *out = hundreds * kPowersOfTen[kMostLast] + last;
  return good & (NoDigits(first) == 0);
}

}  // namespace hayate::csv
