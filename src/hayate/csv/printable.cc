#include "hayate/csv/printable.h"

#include <cstdint>

#include "hayate/csv/utf8.h"

namespace hayate::csv {

std::string Printable(std::string_view value) {
  constexpr size_t kMostBytes = 60;
  constexpr std::string_view kHex = "0123456789abcdef";
  const bool cut = value.size() > kMostBytes;
  if (cut) {
    value = value.substr(0, kMostBytes);
    // Not in the middle of a character.
    while (!value.empty() && (static_cast<uint8_t>(value.back()) & 0xc0) == 0x80) {
      value.remove_suffix(1);
    }
    if (!value.empty() && static_cast<uint8_t>(value.back()) >= 0xc0) value.remove_suffix(1);
  }
  const bool is_utf8 = FindInvalidUtf8(value) < 0;
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8)) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  return out + (cut ? "…\"" : "\"");
}

}  // namespace hayate::csv
