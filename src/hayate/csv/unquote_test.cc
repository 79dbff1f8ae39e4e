#include "hayate/csv/unquote.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "hayate/csv/cell.h"

namespace hayate::csv {
namespace {

// In memory that ends where a kernel's reading and writing must end.
std::string UnquoteIn(const Kernel<UnquoteFunction>& kernel, const std::string& text) {
  std::vector<uint8_t> padded(text.begin(), text.end());
  padded.resize(text.size() + kUnquotePaddingBytes, '"');
  std::vector<uint8_t> out(text.size() + kUnquotePaddingBytes);
  const size_t size = kernel.run(padded.data(), text.size(), '"', out.data());
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

void ExpectAllAgree(const std::string& text) {
  std::string expected;
  AppendUnescaped(text, Dialect{}, /*quoted=*/true, &expected);
  for (const auto& kernel : UnquoteKernels()) {
    ASSERT_EQ(UnquoteIn(kernel, text), expected) << kernel.name << " on " << text;
  }
}

TEST(UnquoteKernels, AgreeOnQuotesAtEveryPlace) {
  for (size_t size = 0; size <= 140; ++size) {
    ExpectAllAgree(std::string(size, 'a'));
    ExpectAllAgree(std::string(size, '"'));
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '"';
      ExpectAllAgree(text);
      if (at + 1 < size) text[at + 1] = '"';
      ExpectAllAgree(text);
    }
  }
}

TEST(UnquoteKernels, AgreeOnManyQuotes) {
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    const unsigned rare = 1 + random() % 20;
    for (size_t n = random() % 300; n > 0; --n) {
      text += random() % rare == 0 ? "\"\"" : std::string(1, static_cast<char>('a' + n % 26));
    }
    ExpectAllAgree(text);
  }
}

}  // namespace
}  // namespace hayate::csv
