#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hayate::csv {

// The double nearest to digits × 10^−places, by the algorithm of Eisel and Lemire (Daniel Lemire,
// "Number parsing at a gigabyte per second", 2021), for the powers that a plain decimal has.

inline constexpr size_t kMostPlaces = 19;

namespace internal {

using Uint128 = unsigned __int128;

struct Reciprocal {
  uint64_t high = 0;
  uint64_t low = 0;
};

/// Entry k: 2^b / 5^k rounded up, with b such that its highest bit is bit 127.
constexpr std::array<Reciprocal, kMostPlaces + 1> ReciprocalsOfFive() {
  std::array<Reciprocal, kMostPlaces + 1> table{};
  table[0] = {uint64_t{1} << 63, 0};
  uint64_t power = 1;
  for (size_t k = 1; k <= kMostPlaces; ++k) {
    power *= 5;
    // Long division of a one with so many zeros behind it.
    const int zeros = std::bit_width(power) + 127;
    Uint128 quotient = 0;
    uint64_t rest = 1;
    for (int i = 0; i < zeros; ++i) {
      rest <<= 1;
      quotient <<= 1;
      if (rest < power) continue;
      rest -= power;
      quotient |= 1;
    }
    ++quotient;
    table[k] = {static_cast<uint64_t>(quotient >> 64), static_cast<uint64_t>(quotient)};
  }
  return table;
}

inline constexpr auto kReciprocalsOfFive = ReciprocalsOfFive();

}  // namespace internal

/// digits × 10^−places, correctly rounded (half to even). `digits` has at most `count` of them;
/// places ≤ kMostPlaces.
[[gnu::always_inline]] inline double ScaledDouble(uint64_t digits, size_t count, size_t places) {
  using internal::Uint128;
  // Both exact: one division rounds once (William Clinger, 1990). By the number of digits, not by
  // their value: that is foreseen more often.
  constexpr size_t kAlwaysExact = 15;
  static constexpr std::array<double, kMostPlaces + 1> kPowers = {
      1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
      1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19};
  if (count <= kAlwaysExact || digits == 0) return static_cast<double>(digits) / kPowers[places];

  constexpr int kMantissaBits = 52;
  constexpr int kSpareBits = 64 - kMantissaBits - 3;
  constexpr int kBias = 1023;
  const int zeros = std::countl_zero(digits);
  const internal::Reciprocal& reciprocal = internal::kReciprocalsOfFive[places];
  const uint64_t normalized = digits << zeros;
  Uint128 product = Uint128{normalized} * reciprocal.high;
  auto high = static_cast<uint64_t>(product >> 64);
  auto low = static_cast<uint64_t>(product);
  constexpr uint64_t kSpareMask = (uint64_t{1} << kSpareBits) - 1;
  if ((high & kSpareMask) == kSpareMask) {
    // What the lower half of the reciprocal adds might be carried into the bits that count.
    const auto more = static_cast<uint64_t>((Uint128{normalized} * reciprocal.low) >> 64);
    low += more;
    if (low < more) ++high;
  }
  const int upper = static_cast<int>(high >> 63);
  uint64_t mantissa = high >> (upper + kSpareBits);
  // ⌊log2(10^−places)⌋ by a fraction that is exact in this range.
  const int power_of_two = ((-static_cast<int>(places) * (152170 + 65536)) >> 16) + 63;
  int exponent = power_of_two + upper - zeros + kBias;
  // Half way between two doubles: only then is what was cut off exactly nothing.
  constexpr size_t kMostPlacesOfTies = 4;
  if (low <= 1 && places <= kMostPlacesOfTies && (mantissa & 3) == 1 &&
      (mantissa << (upper + kSpareBits)) == high) {
    mantissa &= ~uint64_t{1};
  }
  mantissa += mantissa & 1;
  mantissa >>= 1;
  if (mantissa >= (uint64_t{2} << kMantissaBits)) {
    mantissa = uint64_t{1} << kMantissaBits;
    ++exponent;
  }
  mantissa &= ~(uint64_t{1} << kMantissaBits);
  return std::bit_cast<double>((static_cast<uint64_t>(exponent) << kMantissaBits) | mantissa);
}

}  // namespace hayate::csv
