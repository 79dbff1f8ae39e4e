#include "hayate/csv/write_time.h"

#include <arrow/type.h>

#include <string_view>

namespace hayate::csv {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kMillisecondsPerDay = 86'400'000;

// Towards minus infinity, with a remainder from 0: instants before 1970 lie in the day that they
// do.
struct Division {
  int64_t quotient;
  int64_t remainder;
};
Division FloorDivide(int64_t value, int64_t by) {
  int64_t quotient = value / by;
  int64_t remainder = value % by;
  if (remainder < 0) {
    --quotient;
    remainder += by;
  }
  return {quotient, remainder};
}

void AppendTwo(int64_t value, std::string* out) {
  out->push_back(static_cast<char>('0' + value / 10));
  out->push_back(static_cast<char>('0' + value % 10));
}

void AppendFraction(int64_t fraction, int64_t units_per_second, std::string* out) {
  if (fraction == 0) return;
  out->push_back('.');
  for (int64_t unit = units_per_second / 10; fraction > 0; unit /= 10) {
    out->push_back(static_cast<char>('0' + fraction / unit));
    fraction %= unit;
  }
}

}  // namespace

int64_t UnitsPerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      return 1'000'000'000;
  }
  return 1;
}

int64_t DaysOfMilliseconds(int64_t milliseconds) {
  return FloorDivide(milliseconds, kMillisecondsPerDay).quotient;
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
void AppendDate(int64_t days, std::string* out) {
  const auto [era, day_of_era] = FloorDivide(days + 719'468, 146'097);
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year >= 0 && year <= 9'999) {
    AppendTwo(year / 100, out);
    AppendTwo(year % 100, out);
  } else {
    out->append(std::to_string(year));
  }
  out->push_back('-');
  AppendTwo(month, out);
  out->push_back('-');
  AppendTwo(day, out);
}

void AppendTimeOfDay(int64_t units, int64_t units_per_second, std::string* out) {
  const auto [seconds, fraction] = FloorDivide(units, units_per_second);
  AppendTwo(seconds / 3'600, out);
  out->push_back(':');
  AppendTwo(seconds / 60 % 60, out);
  out->push_back(':');
  AppendTwo(seconds % 60, out);
  AppendFraction(fraction, units_per_second, out);
}

void AppendTimestamp(int64_t units, int64_t units_per_second, char separator, std::string* out) {
  const auto [days, of_day] = FloorDivide(units, kSecondsPerDay * units_per_second);
  AppendDate(days, out);
  out->push_back(separator);
  AppendTimeOfDay(of_day, units_per_second, out);
}

}  // namespace hayate::csv
