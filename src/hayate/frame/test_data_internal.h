#pragma once

#include <arrow/array.h>
#include <arrow/array/builder_dict.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Data for the tests of this layer and of those above it.

#include "hayate/base/status.h"

namespace hayate::frame {

/// A fresh directory, removed with all in it at the end of the test.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hayate-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Columns of the types that frames meet; nulls may be in each.
inline std::shared_ptr<arrow::Schema> TestSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("small", arrow::int32()),
       arrow::field("flag", arrow::boolean()), arrow::field("price", arrow::float64()),
       arrow::field("name", arrow::utf8()), arrow::field("text", arrow::large_utf8()),
       arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
       arrow::field("day", arrow::date32()), arrow::field("amount", arrow::decimal128(38, 9)),
       arrow::field("kind", arrow::dictionary(arrow::int8(), arrow::utf8())),
       arrow::field("tags", arrow::list(arrow::int32()))});
}

/// `rows` random rows of TestSchema; a slice of a longer batch, so that offsets are not 0. The
/// dictionary is the same in all of them.
inline std::shared_ptr<arrow::RecordBatch> RandomBatch(std::mt19937_64& random, int64_t rows) {
  arrow::Int64Builder id;
  arrow::Int32Builder small;
  arrow::BooleanBuilder flag;
  arrow::DoubleBuilder price;
  arrow::StringBuilder name;
  arrow::LargeStringBuilder text;
  arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                             arrow::default_memory_pool());
  arrow::Date32Builder day;
  arrow::Decimal128Builder amount(arrow::decimal128(38, 9));
  arrow::Int8Builder kind;
  arrow::ListBuilder tags(arrow::default_memory_pool(), std::make_shared<arrow::Int32Builder>());
  auto& tag_values = static_cast<arrow::Int32Builder&>(*tags.value_builder());
  const int64_t skipped = static_cast<int64_t>(random() % 20);
  const auto is_null = [&] { return random() % 5 == 0; };
  const auto append = [&](auto& builder, auto value) {
    const Status status = is_null() ? builder.AppendNull() : builder.Append(value);
    EXPECT_TRUE(status.ok()) << status;
  };
  for (int64_t i = 0; i < rows + skipped; ++i) {
    const auto bits = static_cast<int64_t>(random());
    append(id, bits >> (random() % 64));
    append(small, static_cast<int32_t>(bits));
    append(flag, bits % 2 == 0);
    append(price, static_cast<double>(bits % 1000000) / 64);
    append(name, std::string(static_cast<size_t>(random() % 12), static_cast<char>('a' + i % 26)));
    append(text, std::string("日本, \"x\"\n").substr(0, random() % 3 == 0 ? 0 : 6));
    append(at, bits >> 12);
    append(day, static_cast<int32_t>(bits % 40000));
    append(amount, arrow::Decimal128(bits));
    append(kind, static_cast<int8_t>(random() % 3));
    if (is_null()) {
      EXPECT_TRUE(tags.AppendNull().ok());
    } else {
      EXPECT_TRUE(tags.Append().ok());
      for (uint64_t k = random() % 3; k > 0; --k) EXPECT_TRUE(tag_values.Append(7).ok());
    }
  }
  arrow::StringBuilder kinds;
  EXPECT_TRUE(kinds.AppendValues({"book", "", "玩具"}).ok());
  const auto dictionary = std::make_shared<arrow::DictionaryArray>(
      arrow::dictionary(arrow::int8(), arrow::utf8()), kind.Finish().ValueOrDie(),
      kinds.Finish().ValueOrDie());
  return arrow::RecordBatch::Make(
             TestSchema(), rows + skipped,
             arrow::ArrayVector{
                 id.Finish().ValueOrDie(), small.Finish().ValueOrDie(), flag.Finish().ValueOrDie(),
                 price.Finish().ValueOrDie(), name.Finish().ValueOrDie(),
                 text.Finish().ValueOrDie(), at.Finish().ValueOrDie(), day.Finish().ValueOrDie(),
                 amount.Finish().ValueOrDie(), dictionary, tags.Finish().ValueOrDie()})
      ->Slice(skipped, rows);
}

inline std::string LabelOf(int64_t value, int64_t labels = 100) {
  return "label" + std::to_string(value % labels);
}

/// {value: int64, label: dictionary<int8, string>} with label `LabelOf(value)`. The dictionary is
/// in the order in which the values bring their labels, so that two batches have different ones.
inline std::shared_ptr<arrow::RecordBatch> LabelledBatch(const std::vector<int64_t>& values,
                                                         int64_t labels = 100) {
  arrow::Int64Builder value;
  arrow::StringDictionaryBuilder label;
  for (const int64_t v : values) {
    EXPECT_TRUE(value.Append(v).ok());
    EXPECT_TRUE(label.Append(LabelOf(v, labels)).ok());
  }
  const auto column = label.Finish().ValueOrDie();
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("value", arrow::int64()), arrow::field("label", column->type())}),
      static_cast<int64_t>(values.size()), {value.Finish().ValueOrDie(), column});
}

/// The label in a row of such a batch, whatever its index type.
inline std::string LabelAt(const arrow::RecordBatch& batch, int64_t row) {
  const auto& column = static_cast<const arrow::DictionaryArray&>(*batch.GetColumnByName("label"));
  return column.dictionary()->GetScalar(column.GetValueIndex(row)).ValueOrDie()->ToString();
}

/// Damages one byte of a file.
inline void FlipByte(const std::string& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get());
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 0x10));
}

}  // namespace hayate::frame
