#pragma once

#include <array>
#include <cstdint>

namespace hayate::csv {

/// Days since 1970-01-01 of a day of the Gregorian calendar; years ≥ 1, months 1 to 12. Years that
/// begin with March, so that a leap day is the last, are Howard Hinnant's ("chrono-Compatible
/// Low-Level Date Algorithms").
inline int32_t DaysFromCivil(uint32_t year, uint32_t month, uint32_t day) {
  static constexpr std::array<uint16_t, 13> kBeforeMonth = {0,   306, 337, 0,   31,  61, 92,
                                                            122, 153, 184, 214, 245, 275};
  constexpr uint32_t kEpoch = 719468;  // days from 0000-03-01 to 1970-01-01
  const uint32_t y = year - (month <= 2 ? 1 : 0);
  const uint32_t days = 365 * y + y / 4 - y / 100 + y / 400 + kBeforeMonth[month] + day - 1;
  return static_cast<int32_t>(days) - static_cast<int32_t>(kEpoch);
}

/// Whether a month, from 1 to 12, has such a day.
inline bool IsDayOfMonth(uint32_t year, uint32_t month, uint32_t day) {
  static constexpr std::array<uint8_t, 13> kMostDays = {0,  31, 29, 31, 30, 31, 30,
                                                        31, 31, 30, 31, 30, 31};
  if (day - 1 >= kMostDays[month]) return false;
  const bool is_leap_day = month == 2 && day == 29;
  return !is_leap_day || (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

}  // namespace hayate::csv
