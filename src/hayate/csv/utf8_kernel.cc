#include <array>
#include <cstring>

#include "hayate/csv/utf8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "hayate/csv/utf8_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// This file is compiled once for each target of Highway (foreach_target.h includes it again).
//
// John Keiser and Daniel Lemire, "Validating UTF-8 in less than one instruction per byte" (2021):
// what can be wrong with two neighbouring bytes is a bit of three table entries at once, looked up
// by the halves of the first byte and the upper half of the second.
HWY_BEFORE_NAMESPACE();
namespace hayate::csv {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
bool IsWellFormed(const uint8_t* text, size_t size) {
  return FindInvalidUtf8({reinterpret_cast<const char*>(text), size}) < 0;
}
#else

// The first byte says that …, the second is …
constexpr uint8_t kTooShort = 1 << 0;      // more follows; none that continues
constexpr uint8_t kTooLong = 1 << 1;       // it is alone; one that continues
constexpr uint8_t kOverlong3 = 1 << 2;     // E0; below A0
constexpr uint8_t kTooLarge = 1 << 3;      // F4 or more; 90 or more
constexpr uint8_t kSurrogate = 1 << 4;     // ED; A0 or more
constexpr uint8_t kOverlong2 = 1 << 5;     // C0 or C1; one that continues
constexpr uint8_t kTooLarge1000 = 1 << 6;  // F5 or more; below 90
constexpr uint8_t kOverlong4 = 1 << 6;     // F0; below 90
constexpr uint8_t kTwoContinue = 1 << 7;   // it continues; so does this: right in long sequences
constexpr uint8_t kCarry = kTooShort | kTooLong | kTwoContinue;

using Table = std::array<uint8_t, 16>;

constexpr Table kFirstHigh = [] {
  Table table{};
  for (int i = 0x0; i <= 0x7; ++i) table[i] = kTooLong;
  for (int i = 0x8; i <= 0xB; ++i) table[i] = kTwoContinue;
  table[0xC] = kTooShort | kOverlong2;
  table[0xD] = kTooShort;
  table[0xE] = kTooShort | kOverlong3 | kSurrogate;
  table[0xF] = kTooShort | kTooLarge | kTooLarge1000 | kOverlong4;
  return table;
}();

constexpr Table kFirstLow = [] {
  Table table{};
  for (int i = 0x0; i <= 0xF; ++i) table[i] = kCarry | (i > 4 ? kTooLarge | kTooLarge1000 : 0);
  table[0x0] |= kOverlong3 | kOverlong2 | kOverlong4;
  table[0x1] |= kOverlong2;
  table[0x4] |= kTooLarge;
  table[0xD] |= kSurrogate;
  return table;
}();

constexpr Table kSecondHigh = [] {
  Table table{};
  for (int i = 0x0; i <= 0xF; ++i) table[i] = kTooShort;
  constexpr uint8_t kContinues = kTooLong | kOverlong2 | kTwoContinue;
  table[0x8] = kContinues | kOverlong3 | kTooLarge1000 | kOverlong4;
  table[0x9] = kContinues | kOverlong3 | kTooLarge;
  table[0xA] = kContinues | kSurrogate | kTooLarge;
  table[0xB] = table[0xA];
  return table;
}();

constexpr size_t kBefore = 3;  // bytes before a place that say what has to stand there

// Errors of the bytes at `text`; kBefore bytes before it are read.
template <class D>
hn::Vec<D> ErrorsAt(D d, const uint8_t* text) {
  const auto bytes = hn::LoadU(d, text);
  const auto before1 = hn::LoadU(d, text - 1);
  const auto before2 = hn::LoadU(d, text - 2);
  const auto before3 = hn::LoadU(d, text - 3);
  const auto low = hn::Set(d, uint8_t{0x0F});
  const auto look_up = [&](const Table& table, hn::Vec<D> at) {
    return hn::TableLookupBytes(hn::LoadDup128(d, table.data()), at);
  };
  const auto pairs = hn::And(hn::And(look_up(kFirstHigh, hn::ShiftRight<4>(before1)),
                                     look_up(kFirstLow, hn::And(before1, low))),
                             look_up(kSecondHigh, hn::ShiftRight<4>(bytes)));
  // The third and fourth byte of a sequence continue one that continues: there, and only there, the
  // highest bit is right.
  const auto third = hn::SaturatedSub(before2, hn::Set(d, uint8_t{0xE0 - 0x80}));
  const auto fourth = hn::SaturatedSub(before3, hn::Set(d, uint8_t{0xF0 - 0x80}));
  const auto expected = hn::And(hn::Or(third, fourth), hn::Set(d, uint8_t{0x80}));
  return hn::Xor(expected, pairs);
}

bool IsWellFormed(const uint8_t* text, size_t size) {
  const hn::CappedTag<uint8_t, 64> d;
  const size_t lanes = hn::Lanes(d);
  auto errors = hn::Zero(d);
  // The first and the last bytes are looked at among zeros, which are ASCII: nothing before the
  // text is read, and a sequence that it cuts off is an error.
  uint8_t edge[kBefore + 2 * 64 + kBefore];
  const size_t head = size < lanes ? size : lanes;
  std::memset(edge, 0, sizeof(edge));
  std::memcpy(edge + kBefore, text, head);
  errors = hn::Or(errors, ErrorsAt(d, edge + kBefore));
  if (head == size) {
    errors = hn::Or(errors, ErrorsAt(d, edge + kBefore + lanes));
    return hn::AllFalse(d, hn::Ne(errors, hn::Zero(d)));
  }
  size_t at = head;
  for (; at + lanes <= size; at += lanes) errors = hn::Or(errors, ErrorsAt(d, text + at));
  std::memset(edge, 0, sizeof(edge));
  std::memcpy(edge, text + at - kBefore, kBefore + size - at);
  errors = hn::Or(errors, ErrorsAt(d, edge + kBefore));
  return hn::AllFalse(d, hn::Ne(errors, hn::Zero(d)));
}
#endif

}  // namespace

bool IsUtf8Wide(const uint8_t* text, size_t size) { return IsWellFormed(text, size); }

}  // namespace HWY_NAMESPACE
}  // namespace hayate::csv
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hayate::csv {
namespace {

HWY_EXPORT(IsUtf8Wide);

bool IsUtf8Scalar(const uint8_t* text, size_t size) {
  return FindInvalidUtf8({reinterpret_cast<const char*>(text), size}) < 0;
}

}  // namespace

const std::vector<Kernel<IsUtf8Function>>& Utf8Kernels() {
  static const auto* const kernels = new std::vector<Kernel<IsUtf8Function>>(
      ListKernels<IsUtf8Function>(HWY_DISPATCH_TABLE(IsUtf8Wide), &IsUtf8Scalar));
  return *kernels;
}

bool IsUtf8(std::string_view text) {
  // A name that no kernel has is told where text is scanned.
  const auto kernel = ChooseKernel(Utf8Kernels());
  return (kernel.ok() ? kernel->run : &IsUtf8Scalar)(reinterpret_cast<const uint8_t*>(text.data()),
                                                     text.size());
}

}  // namespace hayate::csv
#endif  // HWY_ONCE
