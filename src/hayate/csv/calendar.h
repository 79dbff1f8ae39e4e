#pragma once

#include <cstdint>

namespace hayate::csv {

/// Days since 1970-01-01 of a day of the Gregorian calendar. Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", days_from_civil, for years ≥ 1.
inline int32_t DaysFromCivil(uint32_t year, uint32_t month, uint32_t day) {
  constexpr uint32_t kDaysPerEra = 146097;
  constexpr uint32_t kEpoch = 719468;  // days from 0000-03-01 to 1970-01-01
  const uint32_t y = year - (month <= 2 ? 1 : 0);
  const uint32_t era = y / 400;
  const uint32_t year_of_era = y % 400;
  const uint32_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return static_cast<int32_t>(era * kDaysPerEra + day_of_era) - static_cast<int32_t>(kEpoch);
}

inline uint32_t DaysInMonth(uint32_t year, uint32_t month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return 30 + ((month + (month >> 3)) & 1);
}

}  // namespace hayate::csv
