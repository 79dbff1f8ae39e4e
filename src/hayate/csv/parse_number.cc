#include <charconv>
#include <limits>
#include <system_error>
#include <type_traits>

#include "hayate/csv/parse.h"

namespace hayate::csv {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view WithoutSign(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

// Whether a well-formed number that from_chars called out of range is too small rather than too
// large: the power of ten of its first digit that is not zero is negative.
bool IsTiny(std::string_view digits) {
  constexpr int64_t kExponentCap = 100'000'000;
  int64_t power = 0;
  bool seen_point = false;
  bool seen_digit = false;
  size_t at = 0;
  for (; at < digits.size() && (IsDigit(digits[at]) || digits[at] == '.'); ++at) {
    if (digits[at] == '.') {
      seen_point = true;
    } else if (seen_digit) {
      power += seen_point ? 0 : 1;
    } else if (digits[at] != '0') {
      seen_digit = true;
      power -= seen_point ? 1 : 0;
    } else {
      power -= seen_point ? 1 : 0;
    }
  }
  int64_t exponent = 0;
  bool negative = false;
  if (at < digits.size()) ++at;  // e
  if (at < digits.size() && !IsDigit(digits[at])) negative = digits[at++] == '-';
  for (; at < digits.size() && exponent < kExponentCap; ++at) {
    exponent = exponent * 10 + (digits[at] - '0');
  }
  return power + (negative ? -exponent : exponent) < 0;
}

template <typename T>
ParseFault ParseReal(std::string_view text, T* out) {
  const std::string_view digits = WithoutSign(text);
  const bool negative = !text.empty() && text[0] == '-';
  if (digits.empty()) return ParseFault::kSyntax;
  if (!IsDigit(digits[0]) && digits[0] != '.') {
    if (EqualsIgnoringCase(digits, "nan")) {
      *out = std::numeric_limits<T>::quiet_NaN();
      return ParseFault::kNone;
    }
    if (!IsNanOrInfinity(digits)) return ParseFault::kSyntax;
    *out = negative ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    return ParseFault::kNone;
  }
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, *out);
  if (error == std::errc::invalid_argument || stop != end) return ParseFault::kSyntax;
  if (error == std::errc::result_out_of_range) {
    if (!IsTiny(digits)) return ParseFault::kRange;
    *out = 0;
  }
  if (negative) *out = -*out;
  return ParseFault::kNone;
}

}  // namespace

template <typename T>
ParseFault ParseInteger(std::string_view text, T* out) {
  const char* const end = text.data() + text.size();
  const char* const start = text.data() + (!text.empty() && text[0] == '+' ? 1 : 0);
  if (start == end || (*start != '-' && !IsDigit(*start))) return ParseFault::kSyntax;
  if (start != text.data() && *start == '-') return ParseFault::kSyntax;
  // A minus before an unsigned number is out of its range, unless it says -0.
  if (std::is_unsigned_v<T> && *start == '-') {
    int64_t negative = 0;
    const ParseFault fault = ParseInteger<int64_t>(text, &negative);
    if (fault != ParseFault::kNone) return fault;
    *out = 0;
    return negative == 0 ? ParseFault::kNone : ParseFault::kRange;
  }
  const auto [stop, error] = std::from_chars(start, end, *out);
  if (stop != end || error == std::errc::invalid_argument) return ParseFault::kSyntax;
  return error == std::errc() ? ParseFault::kNone : ParseFault::kRange;
}

template ParseFault ParseInteger(std::string_view, int8_t*);
template ParseFault ParseInteger(std::string_view, int16_t*);
template ParseFault ParseInteger(std::string_view, int32_t*);
template ParseFault ParseInteger(std::string_view, int64_t*);
template ParseFault ParseInteger(std::string_view, uint8_t*);
template ParseFault ParseInteger(std::string_view, uint16_t*);
template ParseFault ParseInteger(std::string_view, uint32_t*);
template ParseFault ParseInteger(std::string_view, uint64_t*);

ParseFault ParseDouble(std::string_view text, double* out) { return ParseReal(text, out); }
ParseFault ParseFloat(std::string_view text, float* out) { return ParseReal(text, out); }

bool IsNanOrInfinity(std::string_view text) {
  const std::string_view word = WithoutSign(text);
  return EqualsIgnoringCase(word, "nan") || EqualsIgnoringCase(word, "inf") ||
         EqualsIgnoringCase(word, "infinity");
}

}  // namespace hayate::csv
