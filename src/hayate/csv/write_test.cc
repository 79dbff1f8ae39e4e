#include "hayate/csv/write.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <random>

namespace hayate::csv {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

ArrayPtr Strings(const std::vector<const char*>& values) {
  arrow::StringBuilder builder;
  for (const char* value : values) {
    EXPECT_TRUE((value != nullptr ? builder.Append(value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

ArrayPtr Integers(const TypePtr& type, const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return arrow::compute::Cast(builder.Finish().ValueOrDie(), type).ValueOrDie().make_array();
}

ArrayPtr Cast(const ArrayPtr& array, const TypePtr& type) {
  return arrow::compute::Cast(array, type).ValueOrDie().make_array();
}

std::string Rows(const arrow::ArrayVector& columns) {
  arrow::FieldVector fields;
  for (const auto& column : columns) fields.push_back(arrow::field("c", column->type()));
  std::string out;
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema(fields), columns.front()->length(), columns);
  const Status status = AppendRows(*batch, {}, &out);
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

TEST(WriteCsv, NullIsAnEmptyFieldAndTheEmptyStringIsQuoted) {
  EXPECT_EQ(Rows({Strings({"a", nullptr, ""}), Strings({nullptr, nullptr, "b"})}),
            "a,\n,\n\"\",b\n");
  EXPECT_EQ(Rows({Strings({nullptr, "x"})}), "\nx\n");
}

TEST(WriteCsv, QuotesOnlyWhereNeeded) {
  EXPECT_EQ(
      Rows({Strings({"plain text", "a,b", "say \"hi\"", "two\nlines", "cr\r", "日本", "a;b"})}),
      "plain text\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"cr\r\"\n日本\na;b\n");
}

TEST(WriteCsv, TheHeaderIsQuotedLikeText) {
  std::string out;
  const auto schema =
      arrow::schema({arrow::field("a", arrow::int8()), arrow::field("b,c", arrow::int8()),
                     arrow::field("", arrow::int8())});
  ASSERT_TRUE(AppendHeader(*schema, {}, &out).ok());
  EXPECT_EQ(out, "a,\"b,c\",\"\"\n");
  ASSERT_TRUE(AppendHeader(*schema, {.header = false}, &out).ok());
  EXPECT_EQ(out, "a,\"b,c\",\"\"\n");
}

TEST(WriteCsv, AnotherDelimiterIsWhatIsQuoted) {
  const auto column = Strings({"a,b", "a\tb"});
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("a", arrow::utf8()), arrow::field("b", arrow::utf8())}), 2,
      {column, column});
  std::string out;
  ASSERT_TRUE(AppendRows(*batch, {.delimiter = '\t'}, &out).ok());
  EXPECT_EQ(out, "a,b\ta,b\n\"a\tb\"\t\"a\tb\"\n");
}

TEST(WriteCsv, NumbersAndBooleans) {
  EXPECT_EQ(Rows({Integers(arrow::int64(), {std::numeric_limits<int64_t>::min(), 0})}),
            "-9223372036854775808\n0\n");
  EXPECT_EQ(Rows({Integers(arrow::boolean(), {1, 0}), Integers(arrow::uint8(), {255, 0})}),
            "true,255\nfalse,0\n");
}

TEST(WriteCsv, DoublesAreShortestAndComeBackAsTheyWere) {
  arrow::DoubleBuilder some;
  ASSERT_TRUE(
      some.AppendValues({0.1, 1, -2.5, 1e300, std::nan(""), std::numeric_limits<double>::infinity(),
                         -std::numeric_limits<double>::infinity()})
          .ok());
  EXPECT_EQ(Rows({some.Finish().ValueOrDie()}), "0.1\n1\n-2.5\n1e+300\nNaN\ninf\n-inf\n");
  std::mt19937_64 random(5);
  arrow::DoubleBuilder many;
  std::vector<double> values;
  while (values.size() < 2000) {
    const double value = std::bit_cast<double>(random());
    if (std::isfinite(value)) values.push_back(value);
  }
  ASSERT_TRUE(many.AppendValues(values).ok());
  const std::string out = Rows({many.Finish().ValueOrDie()});
  const char* at = out.data();
  for (const double value : values) {
    double read = 0;
    at = std::from_chars(at, out.data() + out.size(), read).ptr;
    ASSERT_EQ(std::bit_cast<uint64_t>(read), std::bit_cast<uint64_t>(value));
    ASSERT_EQ(*at++, '\n');
  }
}

TEST(WriteCsv, TimestampsAreUtcWithTrimmedFractions) {
  const auto micros = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  EXPECT_EQ(Rows({Integers(micros, {1432157642000000, 1432157642100000, 1432157642123456, -1})}),
            "2015-05-20 21:34:02 UTC\n2015-05-20 21:34:02.1 UTC\n2015-05-20 21:34:02.123456 UTC\n"
            "1969-12-31 23:59:59.999999 UTC\n");
  EXPECT_EQ(Rows({Integers(arrow::timestamp(arrow::TimeUnit::NANO, "Asia/Tokyo"), {1})}),
            "1970-01-01 00:00:00.000000001 UTC\n");
  EXPECT_EQ(Rows({Integers(arrow::timestamp(arrow::TimeUnit::SECOND), {1432157642})}),
            "2015-05-20T21:34:02\n");
}

TEST(WriteCsv, DatesAndTimes) {
  EXPECT_EQ(
      Rows({Cast(Integers(arrow::int32(), {0, -1, 11016, -719162, 2932896}), arrow::date32())}),
      "1970-01-01\n1969-12-31\n2000-02-29\n0001-01-01\n9999-12-31\n");
  EXPECT_EQ(Rows({Integers(arrow::time64(arrow::TimeUnit::MICRO), {0, 86399999990, 45296000000})}),
            "00:00:00\n23:59:59.99999\n12:34:56\n");
}

TEST(WriteCsv, DecimalsArePlainWithTrimmedZeros) {
  const auto text = Strings({"1.500000000", "-0.000000001", "7.000000000", "0.000000000",
                             "-12345678901234567890.100000000"});
  EXPECT_EQ(Rows({Cast(text, arrow::decimal128(38, 9))}),
            "1.5\n-0.000000001\n7\n0\n-12345678901234567890.1\n");
  EXPECT_EQ(Rows({Cast(Strings({"120", "0"}), arrow::decimal256(76, 0))}), "120\n0\n");
}

TEST(WriteCsv, BytesAreBase64) {
  EXPECT_EQ(Rows({Cast(Strings({"hello", "", nullptr}), arrow::binary())}), "aGVsbG8=\n\"\"\n\n");
}

TEST(WriteCsv, DictionariesAreTheirValues) {
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  EXPECT_EQ(Rows({Cast(Strings({"a,b", nullptr, "", "a,b"}), type)}), "\"a,b\"\n\n\"\"\n\"a,b\"\n");
}

TEST(WriteCsv, SlicesWriteTheirOwnRows) {
  EXPECT_EQ(Rows({Strings({"a", nullptr, "c", "d"})->Slice(1, 2)}), "\nc\n");
}

TEST(WriteCsv, ANestedColumnIsRefusedByName) {
  const auto type = arrow::list(arrow::int8());
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("tags", type)}), 0,
                               {arrow::MakeBuilder(type).ValueOrDie()->Finish().ValueOrDie()});
  std::string out;
  const Status status = AppendRows(*batch, {}, &out);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FaultOf(status), Fault::kUsage);
  EXPECT_EQ(FaultDetail::Get(status)->where().column, "tags");
}

}  // namespace
}  // namespace hayate::csv
