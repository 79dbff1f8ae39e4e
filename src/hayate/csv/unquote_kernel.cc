#include "hayate/csv/unquote.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "hayate/csv/unquote_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// This file is compiled once for each target of Highway (foreach_target.h includes it again).
HWY_BEFORE_NAMESPACE();
namespace hayate::csv {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Copies a vector at a time, also where a quote is among its bytes: what was copied behind that is
// written over by the next vector, which begins after the two quotes.
size_t UnquoteWide(const uint8_t* text, size_t size, uint8_t quote, uint8_t* out) {
  const hn::CappedTag<uint8_t, kUnquotePaddingBytes> d;
  const size_t lanes = hn::Lanes(d);
  const auto quotes = hn::Set(d, quote);
  const uint8_t* const end = text + size;
  uint8_t* const begin = out;
  while (text < end) {
    const auto bytes = hn::LoadU(d, text);
    hn::StoreU(bytes, d, out);
    const auto left = static_cast<size_t>(end - text);
    const intptr_t found = hn::FindFirstTrue(d, hn::Eq(bytes, quotes));
    const size_t at = found < 0 ? lanes : static_cast<size_t>(found);
    if (at + (found < 0 ? 0 : 1) >= left) return static_cast<size_t>(out - begin) + left;
    text += at;
    out += at;
    if (found < 0) continue;
    *out++ = text[1];
    text += 2;
  }
  return static_cast<size_t>(out - begin);
}

}  // namespace HWY_NAMESPACE
}  // namespace hayate::csv
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hayate::csv {
namespace {

HWY_EXPORT(UnquoteWide);

size_t UnquoteScalar(const uint8_t* text, size_t size, uint8_t quote, uint8_t* out) {
  size_t copied = 0;
  for (size_t i = 0; i < size; ++i) {
    if (text[i] == quote && i + 1 < size) ++i;
    out[copied++] = text[i];
  }
  return copied;
}

}  // namespace

const std::vector<Kernel<UnquoteFunction>>& UnquoteKernels() {
  static const auto* const kernels = new std::vector<Kernel<UnquoteFunction>>(
      ListKernels<UnquoteFunction>(HWY_DISPATCH_TABLE(UnquoteWide), &UnquoteScalar));
  return *kernels;
}

UnquoteFunction* Unquote() {
  // A name that no kernel has is told where text is scanned.
  const auto kernel = ChooseKernel(UnquoteKernels());
  return kernel.ok() ? kernel->run : &UnquoteScalar;
}

}  // namespace hayate::csv
#endif  // HWY_ONCE
