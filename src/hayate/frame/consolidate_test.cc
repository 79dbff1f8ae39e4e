#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <thread>
#include <tuple>

#include "hayate/base/file.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/unify.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

class ConsolidateTest : public ::testing::Test {
 protected:
  void MustWrite(int64_t number, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    auto writer = PartWriter::Make(dir_.path(), number, batches.front()->schema()).ValueOrDie();
    for (const auto& batch : batches) ASSERT_TRUE(writer->Write(*batch).ok());
    ASSERT_TRUE(writer->Finish().ok());
  }

  static std::shared_ptr<arrow::RecordBatch> OnlyBatch(const std::string& path) {
    const auto file =
        arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ).ValueOrDie();
    const auto reader = arrow::ipc::RecordBatchFileReader::Open(file).ValueOrDie();
    EXPECT_EQ(reader->num_record_batches(), 1);
    return reader->ReadRecordBatch(0).ValueOrDie();
  }

  TestDirectory dir_;
};

TEST_F(ConsolidateTest, OneBatchHoldsAllRowsInOrder) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    std::mt19937_64 random(seed);
    ASSERT_TRUE(ClearFrame(dir_.path()).ok());
    for (int64_t part = 0; part < 5; ++part) {
      MustWrite(part, {RandomBatch(random, random() % 300), RandomBatch(random, random() % 30)});
    }
    ASSERT_TRUE(Commit(dir_.path(), {}).ok());
    const auto path = Consolidate(dir_.path(), 1 + static_cast<int>(seed));
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_EQ(*path, dir_.path() + "/whole.arrow");
    const auto whole = OnlyBatch(*path);
    ASSERT_TRUE(whole->ValidateFull().ok()) << whole->ValidateFull();
    const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
    const auto table = frame->ReadTable().ValueOrDie()->CombineChunksToBatch().ValueOrDie();
    EXPECT_TRUE(ConformTo(*table, whole->schema()).ValueOrDie()->Equals(*whole));
    EXPECT_EQ(whole->schema()->GetFieldByName("name")->type()->id(), arrow::Type::LARGE_STRING);
  }
}

TEST_F(ConsolidateTest, SlotsUnderNullsStayNanAlsoWhereAPartIsWidened) {
  arrow::Int64Builder ints;
  ASSERT_TRUE(ints.AppendValues({1, 2, 3}, {true, false, true}).ok());
  arrow::DoubleBuilder doubles;
  ASSERT_TRUE(doubles.AppendValues({0.5, 9}, {true, false}).ok());
  MustWrite(0, {arrow::RecordBatch::Make(arrow::schema({arrow::field("x", arrow::int64())}), 3,
                                         {ints.Finish().ValueOrDie()})});
  MustWrite(1, {arrow::RecordBatch::Make(arrow::schema({arrow::field("x", arrow::float64())}), 2,
                                         {doubles.Finish().ValueOrDie()})});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto whole = OnlyBatch(Consolidate(dir_.path(), 2).ValueOrDie());
  const double* x = whole->column_data(0)->GetValues<double>(1);
  EXPECT_EQ(x[0], 1);
  EXPECT_TRUE(std::isnan(x[1]));
  EXPECT_EQ(x[2], 3);
  EXPECT_EQ(x[3], 0.5);
  EXPECT_TRUE(std::isnan(x[4]));
  EXPECT_EQ(whole->column(0)->null_count(), 2);
}

TEST_F(ConsolidateTest, DictionariesAreMergedAndTheirIndicesWiden) {
  std::vector<int64_t> all;
  for (int64_t part = 0; part < 3; ++part) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < 90; ++i) values.push_back(part * 90 + i);
    MustWrite(part, {LabelledBatch(values, 300)});
    all.insert(all.end(), values.begin(), values.end());
  }
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto whole = OnlyBatch(Consolidate(dir_.path(), 2).ValueOrDie());
  ASSERT_TRUE(whole->ValidateFull().ok());
  for (int64_t i = 0; i < whole->num_rows(); ++i) {
    ASSERT_EQ(LabelAt(*whole, i), LabelOf(all[static_cast<size_t>(i)], 300));
  }
  const auto& type = static_cast<const arrow::DictionaryType&>(*whole->column(1)->type());
  EXPECT_EQ(type.index_type()->id(), arrow::Type::INT16);
}

TEST_F(ConsolidateTest, ADictionaryIsFoundThoughItsFirstBatchHasNoRows) {
  const auto narrow = LabelledBatch({5, 6, 7});
  MustWrite(0, {narrow->Slice(0, 0), narrow});
  const auto wide = LabelledBatch({8, 9});
  const auto schema =
      arrow::schema({wide->schema()->field(0),
                     arrow::field("label", arrow::dictionary(arrow::int16(), arrow::utf8()))});
  MustWrite(1, {ConformTo(*wide, schema).ValueOrDie()});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto whole = OnlyBatch(Consolidate(dir_.path(), 1).ValueOrDie());
  ASSERT_TRUE(whole->ValidateFull().ok()) << whole->ValidateFull();
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(LabelAt(*whole, i), LabelOf(5 + i, 100));
}

TEST_F(ConsolidateTest, AnOrderStaysOnlyIfOneDictionaryHasThoseOfAll) {
  using Values = std::vector<std::string>;
  const auto ordered = [](const Values& values) {
    arrow::StringBuilder dictionary;
    EXPECT_TRUE(dictionary.AppendValues(values).ok());
    arrow::Int8Builder indices;
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_TRUE(indices.Append(static_cast<int8_t>(i)).ok());
    }
    const auto type = arrow::dictionary(arrow::int8(), arrow::utf8(), /*ordered=*/true);
    const auto column = std::make_shared<arrow::DictionaryArray>(
        type, indices.Finish().ValueOrDie(), dictionary.Finish().ValueOrDie());
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("label", type)}), column->length(),
                                    {column});
  };
  const Values both = {"a", "b", "c"};
  const std::vector<std::tuple<Values, Values, bool>> cases = {
      {{"a", "c"}, both, true},        {both, {"b", "c"}, true},        {both, both, true},
      {{"a", "b"}, {"b", "a"}, false}, {{"a", "b"}, {"c", "d"}, false}, {both, {"c", "a"}, false}};
  for (const auto& [first, second, stays] : cases) {
    ASSERT_TRUE(ClearFrame(dir_.path()).ok());
    MustWrite(0, {ordered(first)});
    MustWrite(1, {ordered(second)});
    ASSERT_TRUE(Commit(dir_.path(), {}).ok());
    const auto whole = OnlyBatch(Consolidate(dir_.path(), 1).ValueOrDie());
    const auto& column = static_cast<const arrow::DictionaryArray&>(*whole->column(0));
    EXPECT_EQ(static_cast<const arrow::DictionaryType&>(*column.type()).ordered(), stays);
    Values labels = first;
    labels.insert(labels.end(), second.begin(), second.end());
    for (size_t i = 0; i < labels.size(); ++i) {
      EXPECT_EQ(LabelAt(*whole, static_cast<int64_t>(i)), labels[i]);
    }
    if (stays) {
      EXPECT_EQ(column.dictionary()->ToString(),
                static_cast<const arrow::DictionaryArray&>(*ordered(both)->column(0))
                    .dictionary()
                    ->ToString());
    }
  }
}

TEST_F(ConsolidateTest, AnEmptyFrameGivesAnEmptyBatch) {
  auto writer = PartWriter::Make(dir_.path(), 0, TestSchema()).ValueOrDie();
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto path = Consolidate(dir_.path(), 2);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(OnlyBatch(*path)->num_rows(), 0);
}

TEST_F(ConsolidateTest, ASingleBatchIsNotCopied) {
  std::mt19937_64 random(1);
  MustWrite(0, {RandomBatch(random, 10)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  EXPECT_EQ(Consolidate(dir_.path(), 2).ValueOrDie(), dir_.path() + "/part-00000.arrow");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/whole.arrow"));
}

TEST_F(ConsolidateTest, WhatIsThereIsKeptAndWhatIsTornIsWrittenAgain) {
  std::mt19937_64 random(1);
  MustWrite(0, {RandomBatch(random, 10), RandomBatch(random, 10)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const std::string path = Consolidate(dir_.path(), 2).ValueOrDie();
  const std::string bytes = ReadFile(path).ValueOrDie();
  const auto written = std::filesystem::last_write_time(path);
  ASSERT_TRUE(Consolidate(dir_.path(), 2).ok());
  EXPECT_EQ(std::filesystem::last_write_time(path), written);
  std::filesystem::resize_file(path, 1000);
  ASSERT_TRUE(Consolidate(dir_.path(), 2).ok());
  EXPECT_EQ(ReadFile(path).ValueOrDie(), bytes);
}

TEST_F(ConsolidateTest, SeveralAtOnceAgree) {
  std::mt19937_64 random(1);
  MustWrite(0, {RandomBatch(random, 100), RandomBatch(random, 10)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  std::vector<Result<std::string>> paths(4, Status::UnknownError("not run"));
  {
    std::vector<std::jthread> threads;
    for (auto& path : paths) threads.emplace_back([&] { path = Consolidate(dir_.path(), 2); });
  }
  for (const auto& path : paths) {
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_EQ(OnlyBatch(*path)->num_rows(), 110);
  }
}

}  // namespace
}  // namespace hayate::frame
