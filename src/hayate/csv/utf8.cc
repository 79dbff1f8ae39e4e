#include "hayate/csv/utf8.h"

#include <cstring>

namespace hayate::csv {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;

uint64_t Load8(const char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

bool Between(uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; }

// Length of the well-formed sequence at the start of `text`, or 0.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto continues = [&](size_t i) { return Between(byte(i), 0x80, 0xbf); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (Between(first, 0xc2, 0xdf)) return continues(1) ? 2 : 0;
  if (Between(first, 0xe0, 0xef)) {
    const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;   // no overlong form
    const uint8_t high = first == 0xed ? 0x9f : 0xbf;  // no surrogate
    return Between(byte(1), low, high) && continues(2) ? 3 : 0;
  }
  if (Between(first, 0xf0, 0xf4)) {
    const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;  // up to U+10FFFF
    return Between(byte(1), low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool IsAscii(std::string_view text) {
  uint64_t seen = 0;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= text.size(); at += sizeof(uint64_t)) {
    seen |= Load8(text.data() + at);
  }
  for (; at < text.size(); ++at) seen |= static_cast<uint8_t>(text[at]);
  return (seen & kHighBits) == 0;
}

int64_t FindInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (at + sizeof(uint64_t) <= text.size() && (Load8(text.data() + at) & kHighBits) == 0) {
      at += sizeof(uint64_t);
      continue;
    }
    const size_t length = SequenceLength(text.substr(at));
    if (length == 0) return static_cast<int64_t>(at);
    at += length;
  }
  return -1;
}

}  // namespace hayate::csv
