#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <string>

namespace hayate::csv {

/// 1, 1000, 1000000 or 1000000000.
int64_t UnitsPerSecond(arrow::TimeUnit::type unit);

/// Days since 1970-01-01 that `milliseconds` fall into, also before it.
int64_t DaysOfMilliseconds(int64_t milliseconds);

/// YYYY-MM-DD of days since 1970-01-01 in the proleptic Gregorian calendar; years beyond four
/// digits and before 0 are written with as many digits and a sign as they need.
void AppendDate(int64_t days, std::string* out);

/// HH:MM:SS with the fraction's digits up to the last that is not 0.
void AppendTimeOfDay(int64_t units, int64_t units_per_second, std::string* out);

/// A date, `separator`, a time of day.
void AppendTimestamp(int64_t units, int64_t units_per_second, char separator, std::string* out);

}  // namespace hayate::csv
