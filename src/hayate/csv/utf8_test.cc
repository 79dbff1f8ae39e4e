#include "hayate/csv/utf8.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace hayate::csv {
namespace {

bool IsUtf8In(const Kernel<IsUtf8Function>& kernel, const std::string& text) {
  return kernel.run(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

void ExpectAllAgree(const std::string& text) {
  const bool expected = FindInvalidUtf8(text) < 0;
  for (const auto& kernel : Utf8Kernels()) {
    ASSERT_EQ(IsUtf8In(kernel, text), expected)
        << kernel.name << " on " << ::testing::PrintToString(text);
  }
}

TEST(Utf8Kernels, AgreeOnEverySequenceOfTwoBytesAtEveryBorder) {
  for (const size_t before : {0, 1, 14, 15, 16, 31, 61, 62, 63, 64, 127}) {
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        std::string text(before, 'a');
        text += static_cast<char>(first);
        text += static_cast<char>(second);
        ExpectAllAgree(text);
      }
    }
  }
}

TEST(Utf8Kernels, AgreeOnMutatedTexts) {
  const std::string pieces[] = {
      "a", "é", "名", "😀", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF", "long ASCII text "};
  std::mt19937 random(1);
  int valid = 0;
  constexpr int kTexts = 100'000;
  for (int i = 0; i < kTexts; ++i) {
    std::string text;
    for (size_t n = random() % 40; n > 0; --n) text += pieces[random() % std::size(pieces)];
    for (size_t n = random() % 3; n > 0 && !text.empty(); --n) {
      const size_t at = random() % text.size();
      if (random() % 2 == 0) {
        text[at] = static_cast<char>(random() % 256);
      } else {
        text.erase(at, 1);
      }
    }
    valid += FindInvalidUtf8(text) < 0 ? 1 : 0;
    ExpectAllAgree(text);
  }
  EXPECT_GT(valid, kTexts / 4);
  EXPECT_LT(valid, kTexts * 3 / 4);
}

}  // namespace
}  // namespace hayate::csv
