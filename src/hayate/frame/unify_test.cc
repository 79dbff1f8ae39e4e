#include "hayate/frame/unify.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/chunked_array.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>

#include <cmath>

#include "hayate/frame/reader.h"
#include "hayate/frame/row_labels.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

Part PartOf(int64_t number, arrow::FieldVector fields, int64_t rows = 1) {
  Part part;
  part.number = number;
  part.rows = rows;
  part.schema = arrow::schema(std::move(fields));
  return part;
}

// The type that two sibling columns get; null for a conflict.
std::shared_ptr<arrow::DataType> Unified(const std::shared_ptr<arrow::DataType>& a,
                                         const std::shared_ptr<arrow::DataType>& b) {
  const auto schema =
      UnifySchemas({PartOf(0, {arrow::field("x", a)}), PartOf(1, {arrow::field("x", b)})}, "s");
  return schema.ok() ? (*schema)->field(0)->type() : nullptr;
}

TEST(Unify, WidensToTheLeastTypeThatHoldsBoth) {
  using namespace arrow;  // NOLINT: a table of types
  const std::vector<std::array<std::shared_ptr<DataType>, 3>> cases = {
      {null(), utf8(), utf8()},
      {int32(), null(), int32()},
      {int32(), int64(), int64()},
      {uint8(), int8(), int16()},
      {uint32(), int32(), int64()},
      {uint64(), int64(), float64()},
      {int64(), float64(), float64()},
      {float32(), int8(), float64()},
      {float32(), float64(), float64()},
      {utf8(), large_utf8(), large_utf8()},
      {binary(), large_binary(), large_binary()},
      {dictionary(int8(), utf8()), dictionary(int16(), utf8()), dictionary(int16(), utf8())},
      {dictionary(int8(), utf8()), utf8(), utf8()},
      {dictionary(int8(), null()), dictionary(int8(), utf8()), dictionary(int8(), utf8())},
      {decimal128(10, 2), decimal128(12, 6), decimal128(14, 6)},
      {decimal128(38, 0), decimal128(38, 9), decimal256(47, 9)},
      {timestamp(TimeUnit::SECOND), timestamp(TimeUnit::MICRO), timestamp(TimeUnit::MICRO)},
      {list(null()), list(utf8()), list(utf8())},
      {list(int32()), large_list(int64()), large_list(int64())},
      {list(dictionary(int8(), utf8())), list(dictionary(int16(), utf8())), list(utf8())}};
  for (const auto& [a, b, expected] : cases) {
    const auto type = Unified(a, b);
    ASSERT_TRUE(type) << a->ToString() << " and " << b->ToString();
    EXPECT_TRUE(type->Equals(*expected)) << type->ToString();
    ASSERT_TRUE(Unified(b, a));
    EXPECT_TRUE(Unified(b, a)->Equals(*expected)) << Unified(b, a)->ToString();
  }
}

TEST(Unify, ATrueConflictNamesColumnPartsAndTypes) {
  const auto schema = UnifySchemas({PartOf(0, {arrow::field("price", arrow::null())}),
                                    PartOf(1, {arrow::field("price", arrow::int64())}),
                                    PartOf(2, {arrow::field("price", arrow::utf8())})},
                                   "features");
  ASSERT_FALSE(schema.ok());
  EXPECT_EQ(FaultOf(schema.status()), Fault::kUserCode);
  const Where& where = FaultDetail::Get(schema.status())->where();
  EXPECT_EQ(where.column, "price");
  EXPECT_EQ(where.stage, "features");
  EXPECT_EQ(where.partition, 2);
  EXPECT_NE(schema.status().message().find("part 2 has string, part 1 has int64"),
            std::string::npos)
      << schema.status();
}

TEST(Unify, OtherConflicts) {
  EXPECT_FALSE(Unified(arrow::boolean(), arrow::int64()));
  EXPECT_FALSE(Unified(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                       arrow::timestamp(arrow::TimeUnit::MICRO)));
  EXPECT_FALSE(Unified(arrow::date32(), arrow::utf8()));
  EXPECT_FALSE(Unified(arrow::struct_({arrow::field("a", arrow::int8())}), arrow::int8()));
}

TEST(Unify, AnIntegerThatADoubleCannotHoldIsAConflict) {
  Part integers = PartOf(0, {arrow::field("x", arrow::int64())});
  integers.inexact_as_double = {"x"};
  const Part doubles = PartOf(1, {arrow::field("x", arrow::float64())});
  EXPECT_FALSE(UnifySchemas({integers, doubles}, "s").ok());
  EXPECT_FALSE(UnifySchemas({doubles, integers}, "s").ok());
  integers.inexact_as_double.clear();
  EXPECT_TRUE(UnifySchemas({doubles, integers}, "s").ok());
}

// Writes each batch as a part and commits; the frame's first column, read back.
Result<std::shared_ptr<arrow::ChunkedArray>> Sealed(
    const std::vector<std::shared_ptr<arrow::Array>>& columns) {
  const TestDirectory dir;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto schema = arrow::schema({arrow::field("x", columns[i]->type())});
    ARROW_ASSIGN_OR_RAISE(const auto writer,
                          PartWriter::Make(dir.path(), static_cast<int64_t>(i), schema));
    ARROW_RETURN_NOT_OK(
        writer->Write(*arrow::RecordBatch::Make(schema, columns[i]->length(), {columns[i]})));
    ARROW_RETURN_NOT_OK(writer->Finish().status());
  }
  ARROW_RETURN_NOT_OK(Commit(dir.path(), {.name = "s"}).status());
  ARROW_ASSIGN_OR_RAISE(const auto reader, FrameReader::Open(dir.path()));
  ARROW_ASSIGN_OR_RAISE(const auto table, reader->ReadTable());
  ARROW_RETURN_NOT_OK(table->ValidateFull());
  return table->column(0);
}

std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                       const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

TEST(Unify, LooksAtTheValuesInsideDictionariesAndLists) {
  const auto inexact = FromJson(arrow::int64(), "[1, 9007199254740993]");
  const auto exact = FromJson(arrow::int64(), "[1, 1152921504606846976]");  // 2^60
  const auto doubles = FromJson(arrow::float64(), "[0.5]");
  const auto as_dictionary = [](const std::shared_ptr<arrow::Array>& values) {
    return std::make_shared<arrow::DictionaryArray>(
        arrow::dictionary(arrow::int8(), values->type()), FromJson(arrow::int8(), "[0]"), values);
  };
  const auto as_list = [](const std::shared_ptr<arrow::Array>& values) {
    const auto offsets = FromJson(arrow::int32(), "[0, " + std::to_string(values->length()) + "]");
    return arrow::ListArray::FromArrays(*offsets, *values).ValueOrDie();
  };
  EXPECT_FALSE(Sealed({as_dictionary(inexact), as_dictionary(doubles)}).ok());
  EXPECT_FALSE(Sealed({as_list(doubles), as_list(inexact)}).ok());
  EXPECT_FALSE(Sealed({as_dictionary(inexact), doubles}).ok());
  EXPECT_TRUE(Sealed({as_dictionary(exact), as_dictionary(doubles)}).ok());
  const auto lists = Sealed({as_list(exact), as_list(doubles)});
  ASSERT_TRUE(lists.ok()) << lists.status();
  const auto& first = static_cast<const arrow::ListArray&>(*(*lists)->chunk(0));
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*first.values()).Value(1), 0x1p60);
}

TEST(Unify, ATimeThatTheFinerUnitCannotHoldIsAConflict) {
  const auto nanoseconds = FromJson(arrow::timestamp(arrow::TimeUnit::NANO), "[1]");
  const auto last_second = FromJson(arrow::timestamp(arrow::TimeUnit::SECOND), "[253402300799]");
  const auto conflict = Sealed({last_second, nanoseconds});
  ASSERT_FALSE(conflict.ok());
  EXPECT_EQ(FaultOf(conflict.status()), Fault::kUserCode);
  EXPECT_NE(conflict.status().message().find("part 0 holds a value that timestamp[ns] cannot hold"),
            std::string::npos)
      << conflict.status();
  EXPECT_TRUE(
      Sealed({last_second, FromJson(arrow::timestamp(arrow::TimeUnit::MICRO), "[1]")}).ok());
  EXPECT_TRUE(
      Sealed({FromJson(arrow::timestamp(arrow::TimeUnit::SECOND), "[1, null]"), nanoseconds}).ok());
  EXPECT_FALSE(Sealed({FromJson(arrow::duration(arrow::TimeUnit::MILLI), "[-9223372036855]"),
                       FromJson(arrow::duration(arrow::TimeUnit::NANO), "[1]")})
                   .ok());
}

TEST(Unify, ColumnsKeepTheFirstPartsOrderAndMissingOnesAreNull) {
  const auto meta = arrow::key_value_metadata({"pandas"}, {"{}"});
  Part first = PartOf(0, {arrow::field("b", arrow::int64()),
                          arrow::field("a", arrow::int64(), /*nullable=*/false)});
  first.schema = first.schema->WithMetadata(meta);
  const auto schema =
      UnifySchemas(
          {first, PartOf(1, {arrow::field("c", arrow::utf8()), arrow::field("b", arrow::int64())})},
          "s")
          .ValueOrDie();
  EXPECT_EQ(schema->field_names(), (std::vector<std::string>{"b", "a", "c"}));
  EXPECT_TRUE(schema->field(1)->nullable());
  EXPECT_TRUE(schema->metadata()->Equals(*meta));
}

TEST(Unify, PartsWithoutRowsBindNoType) {
  const auto schema =
      UnifySchemas(
          {PartOf(0, {arrow::field("a", arrow::float64())}, 0),
           PartOf(1, {arrow::field("a", arrow::utf8())}, 3),
           PartOf(2, {arrow::field("a", arrow::null()), arrow::field("b", arrow::int8())}, 0)},
          "s")
          .ValueOrDie();
  EXPECT_TRUE(schema->field(0)->type()->Equals(*arrow::utf8()));
  EXPECT_EQ(schema->num_fields(), 2);
}

// A part of pandas rows x, with the labels that a filter left or without.
Part Filtered(int64_t number, bool has_labels, int64_t rows = 1) {
  arrow::FieldVector fields = {arrow::field("x", arrow::int64())};
  if (has_labels) fields.push_back(arrow::field("__index_level_0__", arrow::int64()));
  Part part = PartOf(number, fields, rows);
  part.schema = part.schema->WithMetadata(arrow::key_value_metadata(
      {"pandas"},
      {has_labels ? R"({"index_columns": ["__index_level_0__"], "columns": [
            {"name": "x", "field_name": "x"}, {"name": null, "field_name": "__index_level_0__"}]})"
                  : R"({"columns":[{"field_name":"x","name":"x"}],"index_columns":[]})"}));
  return part;
}

TEST(Unify, RowLabelsThatAPartLacksAreLeftOut) {
  const auto with = Filtered(0, true);
  EXPECT_TRUE(HasRowLabels(*with.schema));
  for (const bool first : {false, true}) {
    const auto schema = UnifySchemas({Filtered(0, first), Filtered(1, !first)}, "s").ValueOrDie();
    EXPECT_TRUE(schema->Equals(*Filtered(0, false).schema, /*check_metadata=*/true))
        << schema->ToString(/*show_metadata=*/true);
  }
  const auto empty = UnifySchemas({with, Filtered(1, false, 0)}, "s").ValueOrDie();
  EXPECT_EQ(empty->num_fields(), 2) << "a part without rows decides nothing";
  EXPECT_EQ(
      UnifySchemas({Filtered(0, false), Filtered(1, true, 0)}, "s").ValueOrDie()->num_fields(), 1);
}

TEST(Unify, AValueBesideATableIsAConflict) {
  Part value;
  value.number = 1;
  value.codec = "json";
  const auto schema = UnifySchemas({PartOf(0, {arrow::field("a", arrow::int8())}), value}, "s");
  ASSERT_FALSE(schema.ok());
  EXPECT_EQ(FaultOf(schema.status()), Fault::kUserCode);
}

TEST(ConformTo, CastsReordersAndFillsWithNullsThatPandasCanMap) {
  arrow::Int64Builder ints;
  ASSERT_TRUE(ints.AppendValues({1, 0, int64_t{1} << 60}, {true, false, true}).ok());
  arrow::StringBuilder strings;
  ASSERT_TRUE(strings.AppendValues({"a", "", "c"}).ok());
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("s", arrow::utf8()), arrow::field("x", arrow::int64())}), 3,
      arrow::ArrayVector{strings.Finish().ValueOrDie(), ints.Finish().ValueOrDie()});
  const auto schema =
      arrow::schema({arrow::field("x", arrow::float64()), arrow::field("y", arrow::float64()),
                     arrow::field("s", arrow::large_utf8()),
                     arrow::field("d", arrow::dictionary(arrow::int8(), arrow::utf8()))});
  const auto out = ConformTo(*batch, schema).ValueOrDie();
  ASSERT_TRUE(out->ValidateFull().ok());
  const double* x = out->column_data(0)->GetValues<double>(1);
  EXPECT_EQ(x[0], 1);
  EXPECT_TRUE(std::isnan(x[1]));
  EXPECT_EQ(x[2], 0x1p60);
  EXPECT_EQ(out->column(0)->null_count(), 1);
  EXPECT_EQ(out->column(1)->null_count(), 3);
  EXPECT_TRUE(std::isnan(out->column_data(1)->GetValues<double>(1)[2]));
  EXPECT_EQ(static_cast<const arrow::LargeStringArray&>(*out->column(2)).GetString(2), "c");
  EXPECT_EQ(out->column(3)->null_count(), 3);
}

TEST(ConformTo, WhatIsRightAlreadyIsNotCopied) {
  arrow::Int64Builder ints;
  ASSERT_TRUE(ints.AppendValues({1, 2}).ok());
  const auto column = ints.Finish().ValueOrDie();
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("x", arrow::int64())}), 2, {column});
  const auto out = ConformTo(*batch, arrow::schema({arrow::field("y", arrow::utf8()),
                                                    arrow::field("x", arrow::int64())}))
                       .ValueOrDie();
  EXPECT_EQ(out->column(1)->data()->buffers[1]->address(), column->data()->buffers[1]->address());
}

}  // namespace
}  // namespace hayate::frame
