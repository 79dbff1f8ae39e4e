#include "hayate/csv/parse.h"

#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "hayate/csv/calendar.h"
#include "hayate/csv/classify.h"

namespace hayate::csv {
namespace {

template <typename T>
std::string Integer(std::string_view text) {
  T value{};
  switch (ParseInteger<T>(text, &value)) {
    case ParseFault::kNone:
      return std::to_string(value);
    case ParseFault::kRange:
      return "range";
    default:
      return "syntax";
  }
}

TEST(ParseInteger, TakesSignsAndKnowsItsRange) {
  EXPECT_EQ(Integer<int64_t>("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(Integer<int64_t>("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Integer<int64_t>("9223372036854775808"), "range");
  EXPECT_EQ(Integer<int64_t>("+007"), "7");
  EXPECT_EQ(Integer<int8_t>("-129"), "range");
  EXPECT_EQ(Integer<uint8_t>("255"), "255");
  EXPECT_EQ(Integer<uint8_t>("-1"), "range");
  EXPECT_EQ(Integer<uint8_t>("-0"), "0");
  for (const char* text : {"", "+", "-", "+-1", "1.0", " 1", "1 ", "0x1", "1e3"}) {
    EXPECT_EQ(Integer<int64_t>(text), "syntax") << text;
  }
}

double Double(std::string_view text) {
  double value = 0;
  EXPECT_EQ(ParseDouble(text, &value), ParseFault::kNone) << text;
  return value;
}

TEST(ParseDouble, IsCorrectlyRounded) {
  EXPECT_EQ(Double("0.1"), 0.1);
  EXPECT_EQ(Double("1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_EQ(Double("4.9e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(Double("9007199254740993"), 9007199254740992.0);
  EXPECT_EQ(Double("+5."), 5.0);
  EXPECT_EQ(Double("-.5E1"), -5.0);
  EXPECT_TRUE(std::signbit(Double("-0")));
}

TEST(ParseDouble, RoundsWhatIsTooSmallToZeroAndRefusesWhatIsTooLarge) {
  double value = 1;
  EXPECT_EQ(Double("1e-400"), 0.0);
  EXPECT_TRUE(std::signbit(Double("-0.00001e-400")));
  EXPECT_EQ(Double("0." + std::string(500, '0') + "1"), 0.0);
  EXPECT_EQ(ParseDouble("1e400", &value), ParseFault::kRange);
  EXPECT_EQ(ParseDouble("-" + std::string(400, '9'), &value), ParseFault::kRange);
}

TEST(ParseDouble, KnowsNanAndInfinity) {
  EXPECT_TRUE(std::isnan(Double("NaN")));
  EXPECT_TRUE(std::isnan(Double("-nan")));
  EXPECT_EQ(Double("inf"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Double("+Infinity"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Double("-INF"), -std::numeric_limits<double>::infinity());
  double value = 0;
  for (const char* text : {"", "-", "nan(1)", "in", "1e", "1,5", "0x1p3", "--1", "1.2.3", "."}) {
    EXPECT_EQ(ParseDouble(text, &value), ParseFault::kSyntax) << text;
  }
}

std::string Numeric(std::string_view text, int precision = 38, int scale = 9) {
  arrow::Decimal128 value;
  switch (ParseDecimal128(text, precision, scale, &value)) {
    case ParseFault::kNone:
      return value.ToString(scale);
    case ParseFault::kRange:
      return "range";
    case ParseFault::kPrecision:
      return "precision";
    case ParseFault::kSyntax:
      return "syntax";
  }
  return "";
}

TEST(ParseDecimal, IsExact) {
  EXPECT_EQ(Numeric("99999999999999999999999999999.999999999"),
            "99999999999999999999999999999.999999999");
  EXPECT_EQ(Numeric("-99999999999999999999999999999.999999999"),
            "-99999999999999999999999999999.999999999");
  EXPECT_EQ(Numeric("100000000000000000000000000000"), "range");
  EXPECT_EQ(Numeric("0.0000000001"), "precision");
  EXPECT_EQ(Numeric("0.1000000000000"), "0.100000000");
  EXPECT_EQ(Numeric("1.5e-3"), "0.001500000");
  EXPECT_EQ(Numeric("1E3"), "1000.000000000");
  EXPECT_EQ(Numeric("1e-99999999999999999999"), "precision");
  EXPECT_EQ(Numeric("1e99999999999999999999"), "range");
  EXPECT_EQ(Numeric("0e99"), "0E-9");
  EXPECT_EQ(Numeric("12345", 5, 2), "range");
  for (const char* text : {"", "-", ".", "1e", "1.2.3", "NaN", "1 ", "e5"}) {
    EXPECT_EQ(Numeric(text), "syntax") << text;
  }
}

TEST(ParseDecimal, BigNumericHolds76Digits) {
  std::string most(77, '9');
  most[38] = '.';
  arrow::Decimal256 value;
  ASSERT_EQ(ParseDecimal256("-" + most, 76, 38, &value), ParseFault::kNone);
  EXPECT_EQ(value.ToString(38), "-" + most);
  EXPECT_EQ(ParseDecimal256("1" + std::string(38, '0'), 76, 38, &value), ParseFault::kRange);
}

TEST(ParseDate, KnowsTheCalendar) {
  int32_t days = 0;
  EXPECT_EQ(ParseDate("1970-01-01", &days), ParseFault::kNone);
  EXPECT_EQ(days, 0);
  EXPECT_EQ(ParseDate("2000-02-29", &days), ParseFault::kNone);
  EXPECT_EQ(days, 11016);
  EXPECT_EQ(ParseDate("0001-01-01", &days), ParseFault::kNone);
  EXPECT_EQ(days, -719162);
  EXPECT_EQ(ParseDate("9999-12-31", &days), ParseFault::kNone);
  EXPECT_EQ(days, 2932896);
  for (const char* text :
       {"1900-02-29", "2001-02-29", "2001-13-01", "2001-00-01", "2001-04-31", "0000-01-01"}) {
    EXPECT_EQ(ParseDate(text, &days), ParseFault::kRange) << text;
  }
  for (const char* text : {"", "2001-1-1", "20010101", "2001/01/01", "2001-01-01 ", "-001-01-01"}) {
    EXPECT_EQ(ParseDate(text, &days), ParseFault::kSyntax) << text;
  }
}

constexpr auto kMicro = arrow::TimeUnit::MICRO;

std::string Timestamp(std::string_view text, arrow::TimeUnit::type unit = kMicro,
                      ZoneForm zone = ZoneForm::kOptional) {
  int64_t value = 0;
  switch (ParseTimestamp(text, unit, zone, false, &value)) {
    case ParseFault::kNone:
      return std::to_string(value);
    case ParseFault::kRange:
      return "range";
    case ParseFault::kPrecision:
      return "precision";
    case ParseFault::kSyntax:
      return "syntax";
  }
  return "";
}

TEST(ParseTimestamp, TakesBothSeparatorsFractionsAndZones) {
  EXPECT_EQ(Timestamp("1970-01-01 00:00:01 UTC"), "1000000");
  EXPECT_EQ(Timestamp("1970-01-01T00:00:01Z"), "1000000");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.1 UTC"), "100000");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.123456 UTC"), "123456");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.123456000"), "123456");
  EXPECT_EQ(Timestamp("1969-12-31 23:59:59.999999"), "-1");
  for (const char* zone : {"+09:00", "+0900", "+09", " +09:00"}) {
    EXPECT_EQ(Timestamp(std::string("1970-01-01 09:00:00") + zone), "0") << zone;
  }
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00-00:30"), "1800000000");
}

TEST(ParseTimestamp, RefusesWhatTheUnitDoesNotHold) {
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.1234567 UTC"), "precision");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.1234567891 UTC"), "precision");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.123456789", arrow::TimeUnit::NANO), "123456789");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00.5", arrow::TimeUnit::SECOND), "precision");
  EXPECT_EQ(Timestamp("9999-12-31 00:00:00", arrow::TimeUnit::NANO), "range");
  EXPECT_EQ(Timestamp("1970-01-01 24:00:00"), "range");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:60"), "range");
}

TEST(ParseTimestamp, IsStrictAboutTheRest) {
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00", kMicro, ZoneForm::kRequired), "syntax");
  EXPECT_EQ(Timestamp("1970-01-01 00:00:00Z", kMicro, ZoneForm::kNone), "syntax");
  for (const char* text : {"", "1970-01-01", "1970-01-01 00:00", "1970-01-01 00:00:00.", "now",
                           "1970-01-01 00:00:00 JST", "1970-01-01  00:00:00", "1970-01-01_00:00:00",
                           "1970-01-01 00:00:00+9", "1970-01-01 00:00:00+09:0"}) {
    EXPECT_EQ(Timestamp(text), "syntax") << text;
  }
}

TEST(ParseBase64, TakesPaddedTextOnly) {
  std::string out;
  EXPECT_EQ(ParseBase64("aGVsbG8=", &out), ParseFault::kNone);
  EXPECT_EQ(out, "hello");
  out.clear();
  EXPECT_EQ(ParseBase64("/+8AAQ==", &out), ParseFault::kNone);
  EXPECT_EQ(out, std::string("\xff\xef\x00\x01", 4));
  for (const char* text : {"a", "aGVsbG8", "aGVsbG9=", "aGVs!G8=", "====", "aG=sbG8="}) {
    EXPECT_EQ(ParseBase64(text, &out), ParseFault::kSyntax) << text;
  }
}

CellClass ClassOf(std::string_view text) { return Classify(text, CellRules(ReadOptions())); }

TEST(Classify, KeepsCodesAsText) {
  for (const char* text : {"007", "+1", "-01", "00", "-00"}) {
    EXPECT_EQ(ClassOf(text), CellClass::kCode) << text;
  }
  for (const char* text : {"00.5", "+", "", "1 2", "0x1F", "1_000", "12:30:00", "2026-02-30",
                           "2026-01-01 00:00:00.1234567"}) {
    EXPECT_EQ(ClassOf(text), CellClass::kText) << text;
  }
}

TEST(Classify, LeavesBlanksAroundAValueBehind) {
  EXPECT_EQ(ClassOf(" 1"), CellClass::kInteger);
  EXPECT_EQ(ClassOf("1.5\t "), CellClass::kReal);
  EXPECT_EQ(ClassOf(" 2026-02-28 "), CellClass::kDate);
  EXPECT_EQ(ClassOf(" true"), CellClass::kBool);
  EXPECT_EQ(ClassOf(" 007 "), CellClass::kCode);
  EXPECT_EQ(ClassOf("  "), CellClass::kText);
}

TEST(Classify, ReadsNumbersByTheirMarks) {
  ReadOptions options;
  options.decimal_point = ',';
  options.thousands = '.';
  const CellRules rules(options);
  EXPECT_EQ(Classify("1.234", rules), CellClass::kInteger);
  EXPECT_EQ(Classify("-1.234.567,5", rules), CellClass::kReal);
  EXPECT_EQ(Classify("1234,5e3", rules), CellClass::kReal);
  // A mark that does not stand before three digits is none of thousands.
  for (const char* text : {"1.5", "12.34", "1234.567", ".123", "1.", "1.23.456", "1,234.5", "0.001",
                           "-0.500", "012.345"}) {
    EXPECT_EQ(Classify(text, rules), CellClass::kText) << text;
  }
  options.decimal_point = '.';
  options.thousands = ',';
  const CellRules english(options);
  EXPECT_EQ(Classify("1,234,567.25", english), CellClass::kReal);
  EXPECT_EQ(Classify("1,5", english), CellClass::kText);
}

TEST(Classify, TellsNumbersThatDoubleHoldsFromOthers) {
  EXPECT_EQ(ClassOf("0"), CellClass::kInteger);
  EXPECT_EQ(ClassOf("-9007199254740992"), CellClass::kInteger);
  EXPECT_EQ(ClassOf("9007199254740993"), CellClass::kInexactInteger);
  EXPECT_EQ(ClassOf("9223372036854775807"), CellClass::kInexactInteger);
  EXPECT_EQ(ClassOf("9223372036854775808"), CellClass::kBigInteger);
  EXPECT_EQ(ClassOf("100000000000000000000"), CellClass::kBigInteger);
  EXPECT_EQ(ClassOf("100000000000000000001"), CellClass::kInexactBigInteger);
  EXPECT_EQ(ClassOf("-0"), CellClass::kReal);
  EXPECT_EQ(ClassOf(".5"), CellClass::kReal);
  EXPECT_EQ(ClassOf("1e-7"), CellClass::kReal);
  EXPECT_EQ(ClassOf("1e999"), CellClass::kText);
  EXPECT_EQ(ClassOf("-inf"), CellClass::kNan);
}

TEST(Classify, KnowsBooleansDatesAndTimes) {
  EXPECT_EQ(ClassOf("true"), CellClass::kBool);
  EXPECT_EQ(ClassOf("2026-01-01"), CellClass::kDate);
  EXPECT_EQ(ClassOf("2026-01-01T00:00:00.5"), CellClass::kDateTime);
  EXPECT_EQ(ClassOf("2026-01-01 00:00:00 UTC"), CellClass::kTimestamp);
}

TEST(Classify, TakesForBooleansOnlyWhatIsNoValueOfAnotherTypeButAnInteger) {
  ReadOptions options;
  options.true_values = {"1", "yes", "1.0", "inf", "01", "2026-01-01"};
  options.false_values = {"0"};
  const CellRules rules(options);
  EXPECT_EQ(Classify("1", rules), CellClass::kBoolInteger);
  EXPECT_EQ(Classify("0", rules), CellClass::kBoolInteger);
  EXPECT_EQ(Classify("2", rules), CellClass::kInteger);
  EXPECT_EQ(Classify("yes", rules), CellClass::kBool);
  EXPECT_EQ(Classify("01", rules), CellClass::kBool);
  EXPECT_EQ(Classify("1.0", rules), CellClass::kReal);
  EXPECT_EQ(Classify("inf", rules), CellClass::kNan);
  EXPECT_EQ(Classify("2026-01-01", rules), CellClass::kDate);
  EXPECT_TRUE(rules.IsTrue("1.0")) << "by schema it is one";
}

TEST(Calendar, IsThatOfTheStandardLibrary) {
  constexpr uint32_t kYears = 10'000;
  for (uint32_t year = 1; year < kYears; ++year) {
    for (uint32_t month = 1; month <= 12; ++month) {
      for (uint32_t day = 0; day <= 32; ++day) {
        const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                               std::chrono::month(month), std::chrono::day(day)};
        ASSERT_EQ(IsDayOfMonth(year, month, day), date.ok()) << year << " " << month << " " << day;
        if (!date.ok()) continue;
        ASSERT_EQ(DaysFromCivil(year, month, day),
                  std::chrono::sys_days(date).time_since_epoch().count());
      }
    }
  }
}

}  // namespace
}  // namespace hayate::csv
