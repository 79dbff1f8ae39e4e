#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hayate/shuffle/shuffle.h"

namespace hayate::shuffle {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;

ArrayPtr Cast(const ArrayPtr& array, const std::shared_ptr<arrow::DataType>& type) {
  return arrow::compute::Cast(array, type).ValueOrDie().make_array();
}

template <typename Builder, typename Value>
ArrayPtr Build(const std::vector<Value>& values, const std::vector<bool>& valid = {}) {
  Builder builder;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool is_valid = valid.empty() || valid[i];
    EXPECT_TRUE((is_valid ? builder.Append(values[i]) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

std::vector<uint64_t> Hash(const ArrayPtr& column) {
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("k", column->type())}),
                                              column->length(), {column});
  return HashRows(*batch, {"k"}).ValueOrDie();
}

TEST(HashRows, IsFixedForEver) {
  // A change of these numbers is a change of kPartitionHash.
  EXPECT_EQ(kPartitionHash, 1);
  EXPECT_EQ(Hash(Build<arrow::Int64Builder, int64_t>({0, 1, -1, 123456789})),
            (std::vector<uint64_t>{14374147212387527897U, 3439722301264460078U,
                                   5841669975847748627U, 2817400364357085909U}));
  EXPECT_EQ(
      Hash(Build<arrow::StringBuilder, std::string>({"", "a", "日本"})),
      (std::vector<uint64_t>{0x2d06800538d394c2U, 16629034431890738719U, 3177284604324879296U}));
  EXPECT_EQ(Hash(Build<arrow::Int64Builder, int64_t>({5}, {false})),
            (std::vector<uint64_t>{0x9e3779b97f4a7c15}));
}

TEST(HashRows, IntegersOfAnyWidthBooleansAndWholeNumbersHashByValue) {
  const auto ints = Build<arrow::Int64Builder, int64_t>({0, 1, 100, 7}, {true, true, true, false});
  const auto expected = Hash(ints);
  for (const auto& type : {arrow::int8(), arrow::uint8(), arrow::int16(), arrow::uint16(),
                           arrow::int32(), arrow::uint32(), arrow::uint64(), arrow::float32(),
                           arrow::float64(), arrow::decimal128(38, 9), arrow::decimal256(76, 3)}) {
    EXPECT_EQ(Hash(Cast(ints, type)), expected) << type->ToString();
  }
  const auto booleans = Hash(Build<arrow::BooleanBuilder, bool>({false, true}));
  EXPECT_EQ(booleans[0], expected[0]);
  EXPECT_EQ(booleans[1], expected[1]);
}

TEST(HashRows, ZerosAndNansAreOneEach) {
  const auto hashes = Hash(Build<arrow::DoubleBuilder, double>(
      {0.0, -0.0, std::nan("1"), -std::numeric_limits<double>::quiet_NaN(), 0.5}));
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[2], hashes[3]);
  EXPECT_NE(hashes[2], hashes[4]);
  const auto narrow = Hash(Build<arrow::FloatBuilder, float>({0.5F}));
  EXPECT_EQ(narrow[0], hashes[4]);
}

TEST(HashRows, TextHashesByBytesAlsoInADictionary) {
  const auto text =
      Build<arrow::StringBuilder, std::string>({"b", "", "b", "x"}, {true, true, true, false});
  const auto expected = Hash(text);
  EXPECT_EQ(expected[0], expected[2]);
  EXPECT_NE(expected[1], expected[3]) << "null is not the empty string";
  EXPECT_EQ(Hash(Cast(text, arrow::large_utf8())), expected);
  EXPECT_EQ(Hash(Cast(text, arrow::binary())), expected);
  EXPECT_EQ(Hash(Cast(text, arrow::dictionary(arrow::int32(), arrow::utf8()))), expected);
}

TEST(HashRows, InstantsHashAlikeInAnyUnit) {
  const auto seconds = Cast(Build<arrow::Int64Builder, int64_t>({-5, 0, 86400, 4'000'000'000}),
                            arrow::timestamp(arrow::TimeUnit::SECOND));
  const auto expected = Hash(seconds);
  EXPECT_EQ(Hash(Cast(seconds, arrow::timestamp(arrow::TimeUnit::MILLI))), expected);
  EXPECT_EQ(Hash(Cast(seconds, arrow::timestamp(arrow::TimeUnit::NANO))), expected);
  EXPECT_EQ(Hash(Cast(seconds, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"))), expected);
  const auto day = Cast(Build<arrow::Int32Builder, int32_t>({1}), arrow::date32());
  EXPECT_EQ(Hash(day)[0], expected[2]);
}

TEST(HashRows, DecimalsHashByValueAtAnyScale) {
  const auto at_two =
      Cast(Build<arrow::StringBuilder, std::string>({"1.50", "-3.00"}), arrow::decimal128(10, 2));
  EXPECT_EQ(Hash(at_two), Hash(Cast(at_two, arrow::decimal256(50, 9))));
}

TEST(HashRows, SlicesHashAsTheirRowsDo) {
  const auto text = Build<arrow::StringBuilder, std::string>({"a", "b", "c"}, {true, false, true});
  const auto all = Hash(text);
  EXPECT_EQ(Hash(text->Slice(1)), (std::vector<uint64_t>{all[1], all[2]}));
}

TEST(HashRows, SeveralColumnsCountInOrder) {
  const auto a = Build<arrow::Int64Builder, int64_t>({1, 2, 1});
  const auto b = Build<arrow::Int64Builder, int64_t>({2, 1, 2});
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::int64())}), 3,
      {a, b});
  const auto hashes = HashRows(*batch, {"a", "b"}).ValueOrDie();
  EXPECT_EQ(hashes[0], hashes[2]);
  EXPECT_NE(hashes[0], hashes[1]);
}

TEST(HashRows, AKeyThatHasNoHashIsRefusedByName) {
  for (const auto& type : {arrow::list(arrow::int8()), arrow::float16()}) {
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema({arrow::field("k", type)}), 0,
                                 {arrow::MakeBuilder(type).ValueOrDie()->Finish().ValueOrDie()});
    const Status status = HashRows(*batch, {"k"}).status();
    EXPECT_EQ(FaultOf(status), Fault::kUsage);
    EXPECT_EQ(FaultDetail::Get(status)->where().column, "k");
  }
}

}  // namespace
}  // namespace hayate::shuffle
