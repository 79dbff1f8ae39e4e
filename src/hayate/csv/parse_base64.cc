#include <array>

#include "hayate/csv/parse.h"

namespace hayate::csv {
namespace {

constexpr int8_t kNoDigit = -1;

constexpr std::array<int8_t, 256> MakeDigits() {
  std::array<int8_t, 256> digits{};
  for (auto& digit : digits) digit = kNoDigit;
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  }
  return digits;
}

constexpr std::array<int8_t, 256> kDigits = MakeDigits();

}  // namespace

ParseFault ParseBase64(std::string_view text, std::string* out) {
  constexpr size_t kGroup = 4;
  if (text.size() % kGroup != 0) return ParseFault::kSyntax;
  for (size_t at = 0; at < text.size(); at += kGroup) {
    const bool last = at + kGroup == text.size();
    size_t padding = 0;
    if (last && text[at + 3] == '=') padding = text[at + 2] == '=' ? 2 : 1;
    uint32_t bits = 0;
    for (size_t i = 0; i < kGroup; ++i) {
      int8_t digit = 0;
      if (i < kGroup - padding) digit = kDigits[static_cast<uint8_t>(text[at + i])];
      if (digit == kNoDigit) return ParseFault::kSyntax;
      bits = bits << 6 | static_cast<uint32_t>(digit);
    }
    // Bits that no byte takes must be zero: each value has one spelling.
    if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0)) {
      return ParseFault::kSyntax;
    }
    for (size_t i = 0; i < 3 - padding; ++i) {
      out->push_back(static_cast<char>(bits >> (16 - 8 * i) & 0xff));
    }
  }
  return ParseFault::kNone;
}

}  // namespace hayate::csv
