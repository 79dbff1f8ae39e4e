#include <arrow/type.h>

#include "hayate/csv/calendar.h"
#include "hayate/csv/parse.h"

namespace hayate::csv {
namespace {

constexpr int64_t kSecondsPerMinute = 60;
constexpr int64_t kSecondsPerHour = 3600;
constexpr int64_t kSecondsPerDay = 86400;
constexpr size_t kDateChars = 10;
constexpr size_t kTimeChars = 8;
constexpr size_t kMostFractionDigits = 9;

// A number of exactly `count` digits at `at`, or −1.
int Digits(std::string_view text, size_t at, size_t count) {
  if (text.size() < at + count) return -1;
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    const auto digit = static_cast<unsigned>(static_cast<unsigned char>(text[i])) - '0';
    if (digit > 9) return -1;
    value = value * 10 + static_cast<int>(digit);
  }
  return value;
}

// Where a part of a value ends, and what it says in whole seconds and billionths.
struct Clock {
  int64_t seconds = 0;
  int64_t nanos = 0;
  size_t length = 0;
};

ParseFault ParseClock(std::string_view text, Clock* out) {
  const int hours = Digits(text, 0, 2);
  const int minutes = Digits(text, 3, 2);
  const int seconds = Digits(text, 6, 2);
  if (hours < 0 || minutes < 0 || seconds < 0 || text[2] != ':' || text[5] != ':') {
    return ParseFault::kSyntax;
  }
  if (hours > 23 || minutes > 59 || seconds > 59) return ParseFault::kRange;
  out->seconds = hours * kSecondsPerHour + minutes * kSecondsPerMinute + seconds;
  out->nanos = 0;
  out->length = kTimeChars;
  if (text.size() == kTimeChars || text[kTimeChars] != '.') return ParseFault::kNone;
  size_t digits = 0;
  size_t at = kTimeChars + 1;
  for (; at < text.size() && Digits(text, at, 1) >= 0; ++at, ++digits) {
    if (digits == kMostFractionDigits) return ParseFault::kPrecision;
    out->nanos = out->nanos * 10 + Digits(text, at, 1);
  }
  if (digits == 0) return ParseFault::kSyntax;
  for (; digits < kMostFractionDigits; ++digits) out->nanos *= 10;
  out->length = at;
  return ParseFault::kNone;
}

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

ParseFault ToUnit(int64_t seconds, int64_t nanos, arrow::TimeUnit::type unit, int64_t* out) {
  const int64_t per_second = UnitsPerSecond(unit);
  const int64_t nanos_per_unit = UnitsPerSecond(arrow::TimeUnit::NANO) / per_second;
  if (nanos % nanos_per_unit != 0) return ParseFault::kPrecision;
  if (__builtin_mul_overflow(seconds, per_second, out) ||
      __builtin_add_overflow(*out, nanos / nanos_per_unit, out)) {
    return ParseFault::kRange;
  }
  return ParseFault::kNone;
}

// ` UTC`, `Z`, `+09:00`, `+0900`, `+09`, an offset also after one blank. All of `text`.
ParseFault ParseZone(std::string_view text, int64_t* offset_seconds) {
  *offset_seconds = 0;
  if (text == " UTC" || text == "Z" || text == "z" || text == "UTC") return ParseFault::kNone;
  if (!text.empty() && text[0] == ' ') text.remove_prefix(1);
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return ParseFault::kSyntax;
  const bool negative = text[0] == '-';
  text.remove_prefix(1);
  const int hours = Digits(text, 0, 2);
  int minutes = 0;
  if (text.size() == 4) {
    minutes = Digits(text, 2, 2);
  } else if (text.size() == 5 && text[2] == ':') {
    minutes = Digits(text, 3, 2);
  } else if (text.size() != 2) {
    return ParseFault::kSyntax;
  }
  if (hours < 0 || minutes < 0) return ParseFault::kSyntax;
  if (hours > 23 || minutes > 59) return ParseFault::kRange;
  const int64_t offset = hours * kSecondsPerHour + minutes * kSecondsPerMinute;
  *offset_seconds = negative ? -offset : offset;
  return ParseFault::kNone;
}

}  // namespace

ParseFault ParseDate(std::string_view text, int32_t* days) {
  if (text.size() != kDateChars || text[4] != '-' || text[7] != '-') return ParseFault::kSyntax;
  const int year = Digits(text, 0, 4);
  const int month = Digits(text, 5, 2);
  const int day = Digits(text, 8, 2);
  if (year < 0 || month < 0 || day < 0) return ParseFault::kSyntax;
  const auto y = static_cast<uint32_t>(year);
  const auto m = static_cast<uint32_t>(month);
  const auto d = static_cast<uint32_t>(day);
  if (y < 1 || m < 1 || m > 12 || !IsDayOfMonth(y, m, d)) return ParseFault::kRange;
  *days = DaysFromCivil(y, m, d);
  return ParseFault::kNone;
}

ParseFault ParseTime(std::string_view text, arrow::TimeUnit::type unit, int64_t* out) {
  if (text.size() < kTimeChars) return ParseFault::kSyntax;
  Clock clock;
  const ParseFault fault = ParseClock(text, &clock);
  if (fault != ParseFault::kNone) return fault;
  if (clock.length != text.size()) return ParseFault::kSyntax;
  return ToUnit(clock.seconds, clock.nanos, unit, out);
}

ParseFault ParseTimestamp(std::string_view text, arrow::TimeUnit::type unit, ZoneForm zone,
                          bool date_alone, int64_t* out) {
  int32_t days = 0;
  ParseFault fault = ParseDate(text.substr(0, kDateChars), &days);
  if (fault != ParseFault::kNone) return fault;
  const int64_t midnight = int64_t{days} * kSecondsPerDay;
  if (text.size() == kDateChars) {
    return date_alone ? ToUnit(midnight, 0, unit, out) : ParseFault::kSyntax;
  }
  if (text.size() < kDateChars + 1 + kTimeChars) return ParseFault::kSyntax;
  if (text[kDateChars] != ' ' && text[kDateChars] != 'T') return ParseFault::kSyntax;
  Clock clock;
  fault = ParseClock(text.substr(kDateChars + 1), &clock);
  if (fault != ParseFault::kNone) return fault;
  const std::string_view rest = text.substr(kDateChars + 1 + clock.length);
  int64_t offset = 0;
  if (rest.empty()) {
    if (zone == ZoneForm::kRequired) return ParseFault::kSyntax;
  } else {
    if (zone == ZoneForm::kNone) return ParseFault::kSyntax;
    fault = ParseZone(rest, &offset);
    if (fault != ParseFault::kNone) return fault;
  }
  return ToUnit(midnight + clock.seconds - offset, clock.nanos, unit, out);
}

}  // namespace hayate::csv
