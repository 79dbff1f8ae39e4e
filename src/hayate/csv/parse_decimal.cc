#include <arrow/util/decimal.h>

#include <algorithm>
#include <string>

#include "hayate/csv/parse.h"

namespace hayate::csv {
namespace {

constexpr int64_t kExponentCap = 1'000'000;
// Digits that one 64-bit word takes: numbers are built word by word.
constexpr size_t kDigitsPerWord = 18;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A number as `digits` × 10^exponent, without zeros at either end; zero has no digits.
struct Digits {
  bool negative = false;
  std::string digits;
  int64_t exponent = 0;
};

bool ParseExponent(std::string_view text, int64_t* out) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  int64_t value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
    value = std::min(value * 10 + (c - '0'), kExponentCap);
  }
  *out = negative ? -value : value;
  return true;
}

bool Split(std::string_view text, Digits* out) {
  size_t at = 0;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) out->negative = text[at++] == '-';
  bool any = false;
  bool point = false;
  for (; at < text.size() && (IsDigit(text[at]) || (text[at] == '.' && !point)); ++at) {
    if (text[at] == '.') {
      point = true;
      continue;
    }
    any = true;
    out->exponent -= point ? 1 : 0;
    if (text[at] != '0' || !out->digits.empty()) out->digits.push_back(text[at]);
  }
  if (!any) return false;
  if (at < text.size()) {
    int64_t exponent = 0;
    if (text[at] != 'e' && text[at] != 'E') return false;
    if (!ParseExponent(text.substr(at + 1), &exponent)) return false;
    out->exponent += exponent;
  }
  while (!out->digits.empty() && out->digits.back() == '0') {
    out->digits.pop_back();
    ++out->exponent;
  }
  return true;
}

template <typename Decimal>
ParseFault ParseDecimal(std::string_view text, int precision, int scale, Decimal* out) {
  Digits number;
  if (!Split(text, &number)) return ParseFault::kSyntax;
  *out = Decimal(0);
  if (number.digits.empty()) return ParseFault::kNone;
  const int64_t zeros = number.exponent + scale;
  if (zeros < 0) return ParseFault::kPrecision;
  if (static_cast<int64_t>(number.digits.size()) + zeros > precision) return ParseFault::kRange;
  number.digits.append(static_cast<size_t>(zeros), '0');
  for (size_t at = 0; at < number.digits.size(); at += kDigitsPerWord) {
    int64_t word = 0;
    int64_t power = 1;
    for (const char c : std::string_view(number.digits).substr(at, kDigitsPerWord)) {
      word = word * 10 + (c - '0');
      power *= 10;
    }
    *out = Decimal(*out * Decimal(power) + Decimal(word));
  }
  if (number.negative) out->Negate();
  return ParseFault::kNone;
}

}  // namespace

ParseFault ParseDecimal128(std::string_view text, int precision, int scale,
                           arrow::Decimal128* out) {
  return ParseDecimal(text, precision, scale, out);
}

ParseFault ParseDecimal256(std::string_view text, int precision, int scale,
                           arrow::Decimal256* out) {
  return ParseDecimal(text, precision, scale, out);
}

}  // namespace hayate::csv
