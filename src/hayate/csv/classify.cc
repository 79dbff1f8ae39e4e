#include "hayate/csv/classify.h"

#include <arrow/type_fwd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "hayate/csv/parse.h"

namespace hayate::csv {
namespace {

// All integers of so many digits are exact in double.
constexpr size_t kAlwaysExactDigits = 15;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t DigitsAt(std::string_view text, size_t at) {
  const size_t start = at;
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at - start;
}

CellClass ClassOfInteger(std::string_view text, const CellRules& rules) {
  int64_t value = 0;
  if (ParseInteger(text, &value) == ParseFault::kNone) {
    if (!IsExactInDouble(value)) return CellClass::kInexactInteger;
    return rules.IsInferredBool(text) ? CellClass::kBoolInteger : CellClass::kInteger;
  }
  return IsExactInDouble(text) ? CellClass::kBigInteger : CellClass::kInexactBigInteger;
}

bool IsCode(std::string_view text) {
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const size_t digits = DigitsAt(text, sign);
  return digits > 0 && sign + digits == text.size() && (text[0] == '+' || text[sign] == '0');
}

}  // namespace

PlainForm PlainFormOf(std::string_view text) {
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const bool negative = at == 1;
  const size_t whole = DigitsAt(text, at);
  if (whole > 1 && text[at] == '0') return PlainForm::kNone;
  const bool minus_zero = negative && whole == 1 && text[at] == '0';
  at += whole;
  if (at == text.size()) {
    if (whole == 0) return PlainForm::kNone;
    return minus_zero ? PlainForm::kReal : PlainForm::kInteger;
  }
  size_t fraction = 0;
  if (text[at] == '.') {
    fraction = DigitsAt(text, at + 1);
    at += 1 + fraction;
  }
  if (whole + fraction == 0) return PlainForm::kNone;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const size_t exponent = DigitsAt(text, at);
    if (exponent == 0) return PlainForm::kNone;
    at += exponent;
  }
  return at == text.size() ? PlainForm::kReal : PlainForm::kNone;
}

bool IsExactInDouble(int64_t value) {
  // 2^63 is a double and no int64: the way back would be undefined.
  constexpr double kTwoTo63 = 9223372036854775808.0;
  const auto as_double = static_cast<double>(value);
  return as_double < kTwoTo63 && static_cast<int64_t>(as_double) == value;
}

bool IsExactInDouble(std::string_view plain_integer) {
  if (plain_integer.size() <= kAlwaysExactDigits) return true;
  double value = 0;
  if (ParseDouble(plain_integer, &value) != ParseFault::kNone) return false;
  // The largest double has 309 digits; printing without a point is exact.
  constexpr size_t kMostChars = 320;
  if (plain_integer.size() > kMostChars) return false;
  char printed[kMostChars + 8];
  const int length = std::snprintf(printed, sizeof(printed), "%.0f", value);
  return std::string_view(printed, static_cast<size_t>(length)) == plain_integer;
}

CellClass Classify(std::string_view text, const CellRules& rules) {
  text = WithoutBlanks(text);
  std::string scratch;
  // Nothing is no number either.
  const std::string_view number = rules.marks.ToUsual(text, &scratch).value_or("");
  switch (PlainFormOf(number)) {
    case PlainForm::kInteger:
      return ClassOfInteger(number, rules);
    case PlainForm::kReal: {
      double value = 0;
      return ParseDouble(number, &value) == ParseFault::kNone ? CellClass::kReal : CellClass::kText;
    }
    case PlainForm::kNone:
      break;
  }
  if (rules.IsInferredBool(text)) return CellClass::kBool;
  if (IsCode(text)) return CellClass::kCode;
  if (text.empty() || text[0] == '+') return CellClass::kText;
  if (IsNanOrInfinity(text)) return CellClass::kNan;
  int32_t days = 0;
  if (ParseDate(text, &days) == ParseFault::kNone) return CellClass::kDate;
  constexpr auto kMicro = arrow::TimeUnit::MICRO;
  int64_t time = 0;
  if (ParseTimestamp(text, kMicro, ZoneForm::kNone, false, &time) == ParseFault::kNone) {
    return CellClass::kDateTime;
  }
  if (ParseTimestamp(text, kMicro, ZoneForm::kRequired, false, &time) == ParseFault::kNone) {
    return CellClass::kTimestamp;
  }
  return CellClass::kText;
}

}  // namespace hayate::csv
