#include "hayate/csv/scan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace hayate::csv {
namespace {

struct Scanned {
  std::vector<uint32_t> ends;
  ScanState state;

  bool operator==(const Scanned& other) const {
    return ends == other.ends && state.mode == other.state.mode &&
           state.after_cr == other.state.after_cr &&
           state.after_escape == other.state.after_escape &&
           state.any_quote == other.state.any_quote && state.any_escape == other.state.any_escape &&
           state.any_comment == other.state.any_comment && state.records == other.state.records &&
           state.lines == other.state.lines && state.bad_byte == other.state.bad_byte;
  }
};

// `text` scanned in pieces that end at `cuts`.
Scanned ScanIn(const ScanKernel& kernel, const std::string& text, const std::vector<size_t>& cuts,
               const Dialect& dialect = {}) {
  std::string padded = text + std::string(kScanPaddingBytes, '"');
  std::vector<uint32_t> out(text.size() + 16);
  Scanned scanned;
  uint32_t* at = out.data();
  size_t begin = 0;
  std::vector<size_t> all = cuts;
  all.push_back(text.size());
  for (const size_t cut : all) {
    at = kernel.run(dialect, reinterpret_cast<const uint8_t*>(padded.data()), begin, cut,
                    &scanned.state, at);
    begin = cut;
  }
  scanned.ends.assign(out.data(), at);
  return scanned;
}

std::vector<uint32_t> EndsOf(const std::string& text, const Dialect& dialect = {}) {
  return ScanIn({"scalar", &ScanScalar}, text, {}, dialect).ends;
}

TEST(ScanScalar, FindsFieldEndsOutsideOfQuotes) {
  EXPECT_EQ(EndsOf("a,b\n\"c,\n\"\"\",d\n"), (std::vector<uint32_t>{1, 3, 11, 13}));
  EXPECT_EQ(EndsOf("a\r\nb\rc\n"), (std::vector<uint32_t>{1, 4, 6}));
  EXPECT_EQ(EndsOf("\n\n"), (std::vector<uint32_t>{0, 1}));
}

TEST(ScanScalar, QuoteInsideAnUnquotedFieldIsText) {
  EXPECT_EQ(EndsOf("5\" pipe,x\n"), (std::vector<uint32_t>{7, 9}));
}

TEST(ScanScalar, TextAfterAClosingQuoteIsBad) {
  const Scanned scanned = ScanIn({"scalar", &ScanScalar}, "a,\"b\"c,\n", {});
  EXPECT_EQ(scanned.state.bad_byte, 5);
}

TEST(ScanScalar, AnEscapeMakesTheNextByteText) {
  const Dialect dialect = {.has_escape = true};
  EXPECT_EQ(EndsOf("a\\,b,c\\\nd\n", dialect), (std::vector<uint32_t>{4, 9}));
  EXPECT_EQ(EndsOf("\"a\\\",\",b\n", dialect), (std::vector<uint32_t>{6, 8}));
}

TEST(ScanScalar, BlanksInFrontOfAFieldAreNothing) {
  const Dialect dialect = {.skip_initial_space = true};
  EXPECT_EQ(EndsOf("a,  \"b,c\"\n", dialect), (std::vector<uint32_t>{1, 9}));
  EXPECT_EQ(EndsOf("a,  \"b,c\"\n"), (std::vector<uint32_t>{1, 6, 9}));
}

TEST(ScanScalar, ACommentIsARecordWithoutDelimiters) {
  const Dialect dialect = {.comment_prefix = "//"};
  EXPECT_EQ(EndsOf("//a,\"b\n/a,b\n", dialect), (std::vector<uint32_t>{6, 9, 11}));
}

TEST(ScanScalar, WithoutQuotesTheyAreText) {
  EXPECT_EQ(EndsOf("\"a,b\"\n", {.has_quote = false}), (std::vector<uint32_t>{2, 5}));
}

TEST(ScanKernels, EachGivesWhatTheScalarOneGives) {
  // Alphabets with and without quotes, from a dense soup of structure to plain text.
  const std::vector<std::string> alphabets = {"a,\"\n\r", "ab,\n", "abcdefghijklmnopqrstuvw,\"\n",
                                              "\"a",      ",\r\n", "abcdefgh,\n\"\"\"\"",
                                              "\"\n,"};
  const std::vector<Dialect> dialects = {
      {},
      {},
      {.has_quote = false},
      {.has_escape = true},
      {.skip_initial_space = true},
      {.comment_prefix = "#"},
      {.comment_prefix = "#!"},
      {.has_escape = true, .skip_initial_space = true, .comment_prefix = "#"}};
  std::mt19937 random(7);
  for (int round = 0; round < 8000; ++round) {
    const Dialect& dialect = dialects[random() % dialects.size()];
    std::string alphabet = alphabets[random() % alphabets.size()];
    if (!dialect.is_plain()) alphabet += "\\ ##!";
    std::string text(random() % 400, '\0');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    std::vector<size_t> cuts;
    for (size_t cut = random() % 150; cut < text.size(); cut += random() % 150) cuts.push_back(cut);
    const Scanned expected = ScanIn({"scalar", &ScanScalar}, text, {}, dialect);
    for (const ScanKernel& kernel : ScanKernels()) {
      ASSERT_EQ(ScanIn(kernel, text, {}, dialect), expected) << kernel.name << " on " << text;
      ASSERT_EQ(ScanIn(kernel, text, cuts, dialect), expected)
          << kernel.name << " in pieces on " << text;
    }
  }
}

// Well-formed text, which random bytes seldom are: fields as a writer quotes them.
TEST(ScanKernels, AgreeOnWellFormedText) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    while (text.size() < 300) {
      switch (random() % 4) {
        case 0:
          text += "\"a,\n\"\"" + std::string(random() % 70, 'x') + "\"";
          break;
        case 1:
          text += "\"\"";
          break;
        default:
          text += std::string(random() % 20, 'y');
      }
      text += random() % 3 == 0 ? "\r\n" : ",";
    }
    const Scanned expected = ScanIn({"scalar", &ScanScalar}, text, {});
    EXPECT_EQ(expected.state.bad_byte, kNowhere);
    for (const ScanKernel& kernel : ScanKernels()) {
      ASSERT_EQ(ScanIn(kernel, text, {}), expected) << kernel.name << " on " << text;
    }
  }
}

TEST(ChooseKernel, ObeysTheEnvironment) {
  for (const ScanKernel& kernel : ScanKernels()) {
    setenv("HAYATE_FORCE_KERNEL", kernel.name, 1);
    EXPECT_EQ(ChooseKernel(ScanKernels()).ValueOrDie().run, kernel.run);
  }
  setenv("HAYATE_FORCE_KERNEL", "abacus", 1);
  const auto unknown = ChooseKernel(ScanKernels());
  EXPECT_EQ(FaultOf(unknown.status()), Fault::kUsage);
  unsetenv("HAYATE_FORCE_KERNEL");
  EXPECT_EQ(ChooseKernel(ScanKernels()).ValueOrDie().run, ScanKernels().front().run);
}

}  // namespace
}  // namespace hayate::csv
