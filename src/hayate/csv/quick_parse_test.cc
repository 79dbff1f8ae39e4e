#include "hayate/csv/quick_parse.h"

#include <arrow/type_fwd.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/parse.h"
#include "hayate/csv/scan.h"

namespace hayate::csv {
namespace {

// A text in front of what a neighbour may hold, with the room behind that quick parsing reads.
class Padded {
 public:
  Padded(std::string_view text, std::string_view neighbour) : size_(text.size()) {
    bytes_ = std::string(kQuickFrontBytes, '7') + std::string(text) + std::string(neighbour);
    bytes_.resize(std::max(bytes_.size(), kQuickFrontBytes + size_ + kScanPaddingBytes), '\0');
  }
  const uint8_t* data() const {
    return reinterpret_cast<const uint8_t*>(bytes_.data()) + kQuickFrontBytes;
  }
  size_t size() const { return size_; }

 private:
  std::string bytes_;
  size_t size_;
};

constexpr std::string_view kNeighbours[] = {",",  ",123456.789", "\n2026-01-01",
                                            "\"", "5",           "\xff\xff"};

// Whether the quick form took `text`; if so, it has to agree with the careful one.
bool AgreesInt64(std::string_view text) {
  bool taken = false;
  for (const std::string_view neighbour : kNeighbours) {
    const Padded padded(text, neighbour);
    int64_t quick = 0;
    if (!QuickInt64(padded.data(), padded.size(), &quick)) continue;
    taken = true;
    int64_t careful = 0;
    EXPECT_EQ(ParseInteger(text, &careful), ParseFault::kNone) << text;
    EXPECT_EQ(quick, careful) << text;
  }
  return taken;
}

bool AgreesDouble(std::string_view text) {
  bool taken = false;
  for (const std::string_view neighbour : kNeighbours) {
    const Padded padded(text, neighbour);
    double quick = 0;
    bool real = false;
    if (!QuickDouble(padded.data(), padded.size(), &quick, &real)) continue;
    taken = true;
    double careful = 0;
    EXPECT_EQ(ParseDouble(text, &careful), ParseFault::kNone) << text;
    EXPECT_EQ(std::bit_cast<uint64_t>(quick), std::bit_cast<uint64_t>(careful)) << text;
    EXPECT_EQ(real, text.find('.') != std::string_view::npos) << text;
  }
  return taken;
}

bool AgreesDate(std::string_view text) {
  bool taken = false;
  for (const std::string_view neighbour : kNeighbours) {
    const Padded padded(text, neighbour);
    int32_t quick = 0;
    if (!QuickDate(padded.data(), padded.size(), &quick)) continue;
    taken = true;
    int32_t careful = 0;
    EXPECT_EQ(ParseDate(text, &careful), ParseFault::kNone) << text;
    EXPECT_EQ(quick, careful) << text;
  }
  return taken;
}

bool AgreesTimestamp(std::string_view text) {
  bool taken = false;
  for (const auto unit : {arrow::TimeUnit::SECOND, arrow::TimeUnit::MILLI, arrow::TimeUnit::MICRO,
                          arrow::TimeUnit::NANO}) {
    for (const ZoneForm zone : {ZoneForm::kNone, ZoneForm::kRequired, ZoneForm::kOptional}) {
      for (const std::string_view neighbour : kNeighbours) {
        const Padded padded(text, neighbour);
        int64_t quick = 0;
        if (!QuickTimestamp(padded.data(), padded.size(), 3 * static_cast<size_t>(unit),
                            zone != ZoneForm::kNone, zone != ZoneForm::kRequired, &quick)) {
          continue;
        }
        taken = true;
        int64_t careful = 0;
        EXPECT_EQ(ParseTimestamp(text, unit, zone, false, &careful), ParseFault::kNone) << text;
        EXPECT_EQ(quick, careful) << text;
      }
    }
  }
  return taken;
}

// One of: a byte changed, taken out, put in; or none.
std::string Mutated(std::string text, std::mt19937_64* random) {
  constexpr std::string_view kBytes = "0123456789-+.:/ TUCZzeE,\"\n\x80\xff";
  const size_t at = (*random)() % (text.size() + 1);
  const char byte = kBytes[(*random)() % kBytes.size()];
  switch ((*random)() % 4) {
    case 0:
      if (at < text.size()) text[at] = byte;
      break;
    case 1:
      if (at < text.size()) text.erase(at, 1);
      break;
    case 2:
      text.insert(at, 1, byte);
      break;
    default:
      break;
  }
  return text;
}

TEST(QuickInt64, TakesEveryLengthAndAgrees) {
  std::mt19937_64 random(1);
  std::string digits;
  for (size_t length = 1; length <= 18; ++length) {
    digits += static_cast<char>('0' + length % 10);
    EXPECT_TRUE(AgreesInt64(digits)) << digits;
    EXPECT_TRUE(AgreesInt64("-" + digits)) << digits;
  }
  for (const char* text :
       {"0", "9223372036854775807", "-9223372036854775807", "000000000000000042"}) {
    EXPECT_TRUE(AgreesInt64(text)) << text;
  }
  for (const char* text : {"", "-", "+1", "1.", "9223372036854775808", "99999999999999999999",
                           "--1", "1-", " 1", "1 "}) {
    EXPECT_FALSE(AgreesInt64(text)) << text;
  }
  for (int i = 0; i < 300'000; ++i) {
    const auto value = static_cast<int64_t>(random()) >> (random() % 63);
    AgreesInt64(Mutated(std::to_string(value), &random));
  }
}

TEST(QuickDouble, TakesPlainDecimalsAndRoundsThemAsParseDoubleDoes) {
  for (const char* text : {"0.0", "-0.5", "12.34", "9007199254740993", "0.30000000000000004",
                           "9007199254740992.5", "123.4567890123456789", "-0", "5"}) {
    const bool point_is_late = std::string_view(text).find('.') == 16;
    EXPECT_EQ(AgreesDouble(text), !point_is_late) << text;
  }
  for (const char* text : {"", ".5", "5.", "1e5", "nan", "-", "-.", "1.2.3", "+1.5"}) {
    EXPECT_FALSE(AgreesDouble(text)) << text;
  }
}

TEST(QuickDouble, TakesThePointAtEveryPlace) {
  std::mt19937_64 random(7);
  for (size_t size = 2; size <= 19; ++size) {
    for (size_t whole = 1; whole < size; ++whole) {
      for (int i = 0; i < 500; ++i) {
        std::string text;
        for (size_t n = 0; n < size; ++n) text += static_cast<char>('0' + random() % 10);
        text.insert(whole, 1, '.');
        EXPECT_EQ(AgreesDouble(text), whole < 16) << text;
        EXPECT_EQ(AgreesDouble("-" + text), whole < 16) << text;
        AgreesDouble(Mutated(text, &random));
      }
    }
  }
}

TEST(QuickDouble, RoundsAMillionShortestAndLongestForms) {
  std::mt19937_64 random(2);
  int64_t taken = 0;
  constexpr int kValues = 500'000;
  for (int i = 0; i < kValues; ++i) {
    const int power = static_cast<int>(random() % 12) - 4;
    double value = static_cast<double>(random() >> 11) * 0x1p-53;
    for (int k = 0; k < power; ++k) value *= 10;
    for (int k = 0; k > power; --k) value /= 10;
    char text[64];
    const auto shortest = std::to_chars(text, text + sizeof(text), value);
    const std::string_view short_form(text, static_cast<size_t>(shortest.ptr - text));
    taken += AgreesDouble(short_form) ? 1 : 0;
    // Digits beyond those that tell it apart, near to and at half way.
    const int size = std::snprintf(text, sizeof(text), "%.*f", 17 - std::max(power, 0), value);
    AgreesDouble(Mutated(std::string(text, static_cast<size_t>(size)), &random));
  }
  EXPECT_GT(taken, kValues * 8 / 10);
}

// As a column's values are read: the quick parser, then the careful one.
double ReadAsDouble(const Padded& padded, std::string_view text) {
  double value = 0;
  bool real = false;
  if (QuickDouble(padded.data(), padded.size(), &value, &real)) return value;
  EXPECT_EQ(ParseDouble(text, &value), ParseFault::kNone) << text;
  return value;
}

TEST(Doubles, TenMillionAreReadAndWrittenAsTheCLibraryReadsThem) {
  std::mt19937_64 random(4);
  constexpr int kValues = 10'000'000;
  int wrong = 0;
  for (int i = 0; i < kValues; ++i) {
    // Half of them any that is finite, half of the size that data have, as decimals.
    double value = std::bit_cast<double>(random());
    char text[64];
    std::string_view written;
    if (std::isfinite(value) && i % 2 == 0) {
      // What the writer writes.
      const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
      written = std::string_view(text, static_cast<size_t>(end - text));
    } else {
      const uint64_t digits = random() >> (random() % 64);
      const auto whole = std::to_chars(text, text + sizeof(text), digits).ptr;
      const size_t size = static_cast<size_t>(whole - text);
      const size_t places = random() % size;
      std::memmove(text + size - places + 1, text + size - places, places);
      text[size - places] = '.';
      written = std::string_view(text, size + (places == 0 ? 0 : 1));
      value = std::nan("");
    }
    text[written.size()] = '\0';
    const double expected = std::strtod(text, nullptr);
    const double read = ReadAsDouble(Padded(written, ","), written);
    wrong += std::bit_cast<uint64_t>(read) != std::bit_cast<uint64_t>(expected) ? 1 : 0;
    wrong += !std::isnan(value) && expected != value ? 1 : 0;
    ASSERT_EQ(wrong, 0) << written;
  }
}

TEST(QuickDouble, RoundsWhatLiesHalfWayToEven) {
  // m + 1/2 for odd and even m of 53 bits, and its neighbours in the last place.
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t mantissa = (uint64_t{1} << 52) | (random() >> 12);
    const uint64_t twice = 2 * mantissa + 1;
    for (const uint64_t digits : {twice * 5 - 1, twice * 5, twice * 5 + 1}) {
      // digits / 10 lies at half way of doubles in [2^52, 2^53).
      const std::string whole = std::to_string(digits);
      double careful = 0;
      const std::string text =
          whole.substr(0, whole.size() - 1) + "." + whole.substr(whole.size() - 1);
      ASSERT_EQ(ParseDouble(text, &careful), ParseFault::kNone);
      EXPECT_EQ(std::bit_cast<uint64_t>(ScaledDouble(digits, whole.size(), 1)),
                std::bit_cast<uint64_t>(careful))
          << text;
    }
  }
}

TEST(ScaledDouble, AgreesForAllPlaces) {
  std::mt19937_64 random(4);
  for (size_t places = 0; places <= kMostPlaces; ++places) {
    for (int i = 0; i < 20'000; ++i) {
      const uint64_t digits = random() >> (random() % 64);
      const std::string text = std::to_string(digits) + "e-" + std::to_string(places);
      double careful = 0;
      ASSERT_EQ(ParseDouble(text, &careful), ParseFault::kNone) << text;
      EXPECT_EQ(
          std::bit_cast<uint64_t>(ScaledDouble(digits, std::to_string(digits).size(), places)),
          std::bit_cast<uint64_t>(careful))
          << text;
    }
  }
}

TEST(QuickDate, TakesEveryDayAndAgrees) {
  for (const int year : {1, 4, 100, 400, 1582, 1900, 1969, 1970, 2000, 2023, 2024, 9999}) {
    for (int month = 0; month <= 13; ++month) {
      for (int day = 0; day <= 32; ++day) {
        char text[32];
        std::snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
        int32_t days = 0;
        EXPECT_EQ(AgreesDate(text), ParseDate(text, &days) == ParseFault::kNone) << text;
      }
    }
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 200'000; ++i) AgreesDate(Mutated("2026-11-25", &random));
}

TEST(QuickTimestamp, TakesWhatBigQueryWritesAndAgrees) {
  for (const char* text :
       {"2026-01-01 00:00:00 UTC", "2026-01-01 00:00:00.123456 UTC", "2026-12-31T23:59:59.5 UTC",
        "2026-01-01T00:00:00Z", "2026-01-01 00:00:00.12", "0001-01-01 00:00:00 UTC"}) {
    EXPECT_TRUE(AgreesTimestamp(text)) << text;
  }
  for (const char* text :
       {"2026-01-01", "2026-01-01 00:00", "2026-01-01 24:00:00 UTC", "2026-01-01 00:00:60 UTC",
        "2026-02-30 00:00:00 UTC", "2026-01-01 00:00:00. UTC", "2026-01-01 00:00:00.12345678 UTC",
        "2026-01-01 00:00:00  UTC", "2026-01-01 00:00:00 UTC "}) {
    EXPECT_FALSE(AgreesTimestamp(text)) << text;
  }
  std::mt19937_64 random(6);
  for (int i = 0; i < 60'000; ++i) {
    AgreesTimestamp(Mutated("2026-11-25 21:09:57.204806 UTC", &random));
    AgreesTimestamp(Mutated("1677-09-21 00:12:43.14", &random));
  }
}

}  // namespace
}  // namespace hayate::csv
