#include "hayate/shuffle/shuffle.h"

#include <arrow/array.h>
#include <arrow/compute/api_vector.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "hayate/base/file.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"
#include "hayate/shuffle/row_order.h"

namespace hayate::shuffle {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

class ShuffleTest : public ::testing::Test {
 protected:
  std::string Input() const { return dir_.path() + "/in"; }
  std::string Output() const { return dir_.path() + "/out"; }

  std::shared_ptr<frame::FrameReader> MakeInput(uint64_t seed, int64_t parts) {
    std::mt19937_64 random(seed);
    for (int64_t part = 0; part < parts; ++part) {
      auto writer = frame::PartWriter::Make(Input(), part, frame::TestSchema()).ValueOrDie();
      for (uint64_t i = random() % 4; i > 0; --i) {
        EXPECT_TRUE(writer->Write(*frame::RandomBatch(random, random() % 300)).ok());
      }
      EXPECT_TRUE(writer->Finish().ok());
    }
    EXPECT_TRUE(frame::Commit(Input(), {.name = "in"}).ok());
    return frame::FrameReader::Open(Input()).ValueOrDie();
  }

  std::shared_ptr<frame::FrameReader> Shuffled(const frame::FrameReader& input,
                                               const ShuffleOptions& options) {
    const Status status = ShuffleParts(input, options, Output());
    EXPECT_TRUE(status.ok()) << status;
    const auto manifest = frame::Commit(Output(), {.expected_parts = input.num_parts()});
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    return frame::FrameReader::Open(Output()).ValueOrDie();
  }

  frame::TestDirectory dir_;
};

// What the contract says, the slow way: the rows of each partition by filter over the whole input.
std::shared_ptr<arrow::Table> Expected(const frame::FrameReader& input,
                                       const std::vector<std::string>& columns, int64_t partition,
                                       int64_t partitions, std::vector<uint64_t>* numbers) {
  const auto batch = input.ReadTable().ValueOrDie()->CombineChunksToBatch().ValueOrDie();
  const auto hashes = HashRows(*batch, columns).ValueOrDie();
  arrow::Int64Builder rows;
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (PartitionOf(hashes[i], partitions) != partition) continue;
    EXPECT_TRUE(rows.Append(static_cast<int64_t>(i)).ok());
    numbers->push_back(i);
  }
  return arrow::Table::FromRecordBatches(
             {arrow::compute::Take(batch, rows.Finish().ValueOrDie()).ValueOrDie().record_batch()})
      .ValueOrDie();
}

TEST_F(ShuffleTest, EachPartitionHasItsRowsInInputOrder) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::filesystem::remove_all(Input());
    std::filesystem::remove_all(Output());
    const auto input = MakeInput(seed, 5);
    const std::vector<std::string> keys =
        seed % 2 == 0 ? std::vector<std::string>{"name"} : std::vector<std::string>{"kind", "day"};
    const int64_t partitions = 1 + static_cast<int64_t>(seed) * 3;
    const auto frame = Shuffled(*input, {.columns = keys,
                                         .partitions = partitions,
                                         .with_row_numbers = true,
                                         .threads = static_cast<int>(1 + seed * 2)});
    int64_t rows = 0;
    for (int64_t p = 0; p < partitions; ++p) {
      std::vector<BatchPtr> batches;
      for (int64_t part = 0; part < frame->num_parts(); ++part) {
        ASSERT_EQ(frame->NumBatches(part).ValueOrDie(), partitions);
        batches.push_back(frame->ReadBatch(part, p).ValueOrDie());
        ASSERT_TRUE(batches.back()->ValidateFull().ok());
      }
      const auto table = arrow::Table::FromRecordBatches(batches).ValueOrDie();
      std::vector<uint64_t> numbers;
      const auto expected = Expected(*input, keys, p, partitions, &numbers);
      ASSERT_TRUE(table->RemoveColumn(table->num_columns() - 1).ValueOrDie()->Equals(*expected));
      const auto column = table->GetColumnByName(kRowNumberColumn);
      for (int64_t i = 0; i < table->num_rows(); ++i) {
        const auto scalar = column->GetScalar(i).ValueOrDie();
        ASSERT_EQ(static_cast<const arrow::UInt64Scalar&>(*scalar).value,
                  numbers[static_cast<size_t>(i)]);
      }
      rows += table->num_rows();
    }
    EXPECT_EQ(rows, input->manifest().rows);
  }
}

TEST_F(ShuffleTest, TheResultDoesNotDependOnThreads) {
  const auto input = MakeInput(3, 4);
  std::set<std::string> checksums;
  for (const int threads : {1, 2, 9}) {
    std::filesystem::remove_all(Output());
    const auto frame = Shuffled(*input, {.columns = {"id"}, .partitions = 7, .threads = threads});
    std::string all;
    for (const auto& part : frame->manifest().parts) all += part.checksum;
    checksums.insert(all);
  }
  EXPECT_EQ(checksums.size(), 1U);
}

TEST_F(ShuffleTest, PartsAlreadyThereAreKept) {
  const auto input = MakeInput(3, 4);
  const ShuffleOptions options{.columns = {"id"}, .partitions = 3, .threads = 2};
  ASSERT_TRUE(ShuffleParts(*input, options, Output()).ok());
  std::filesystem::remove(Output() + "/part-00002.json");
  const auto kept = std::filesystem::last_write_time(Output() + "/part-00001.arrow");
  ASSERT_TRUE(ShuffleParts(*input, options, Output()).ok());
  EXPECT_EQ(std::filesystem::last_write_time(Output() + "/part-00001.arrow"), kept);
  EXPECT_TRUE(frame::Commit(Output(), {.expected_parts = 4}).ok());
}

TEST_F(ShuffleTest, PartsOfOtherOptionsAreNotKept) {
  const auto input = MakeInput(3, 2);
  ASSERT_TRUE(ShuffleParts(*input, {.columns = {"id"}, .partitions = 3}, Output()).ok());
  const std::vector<ShuffleOptions> others = {
      {.columns = {"name"}, .partitions = 3},
      {.columns = {"name"}, .partitions = 5},
      {.columns = {"name"}, .partitions = 5, .with_row_numbers = true}};
  for (const ShuffleOptions& options : others) {
    const std::string part = Output() + "/part-00001.arrow";
    const auto before = std::filesystem::last_write_time(part);
    ASSERT_TRUE(ShuffleParts(*input, options, Output()).ok());
    EXPECT_NE(std::filesystem::last_write_time(part), before);
  }
}

TEST_F(ShuffleTest, AnInputWithoutRowsGivesEmptyPartitions) {
  auto writer = frame::PartWriter::Make(Input(), 0, frame::TestSchema()).ValueOrDie();
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(frame::Commit(Input(), {}).ok());
  const auto input = frame::FrameReader::Open(Input()).ValueOrDie();
  const auto frame = Shuffled(*input, {.columns = {"kind"}, .partitions = 3});
  EXPECT_EQ(frame->NumBatches(0).ValueOrDie(), 3);
  EXPECT_EQ(frame->manifest().rows, 0);
}

TEST_F(ShuffleTest, AMissingKeyColumnListsThoseThereAre) {
  const auto input = MakeInput(3, 1);
  const Status status = ShuffleParts(*input, {.columns = {"user"}, .partitions = 2}, Output());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FaultOf(status), Fault::kUsage);
  EXPECT_NE(FaultDetail::Get(status)->remedy().find("id, small"), std::string::npos);
}

TEST_F(ShuffleTest, PartsWithOtherDictionariesKeepTheirValues) {
  for (int64_t part = 0; part < 3; ++part) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < 90; ++i) values.push_back(part * 31 + i);
    const auto batch = frame::LabelledBatch(values);
    auto writer = frame::PartWriter::Make(Input(), part, batch->schema()).ValueOrDie();
    ASSERT_TRUE(writer->Write(*batch).ok());
    ASSERT_TRUE(writer->Finish().ok());
  }
  ASSERT_TRUE(frame::Commit(Input(), {}).ok());
  const auto input = frame::FrameReader::Open(Input()).ValueOrDie();
  const auto frame = Shuffled(*input, {.columns = {"label"}, .partitions = 4, .threads = 2});
  std::map<std::string, int64_t> partition_of;
  for (int64_t part = 0; part < 3; ++part) {
    for (int64_t p = 0; p < 4; ++p) {
      const auto batch = frame->ReadBatch(part, p).ValueOrDie();
      const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(0));
      for (int64_t i = 0; i < batch->num_rows(); ++i) {
        ASSERT_EQ(frame::LabelAt(*batch, i), frame::LabelOf(values.Value(i)));
        const auto [found, added] = partition_of.emplace(frame::LabelAt(*batch, i), p);
        ASSERT_EQ(found->second, p) << "a key must be in one partition";
      }
    }
  }
}

TEST(PartitionCount, DependsOnRowsAndBytes) {
  EXPECT_EQ(PartitionCount(0, 0), 1);
  EXPECT_EQ(PartitionCount(50'000, 1), 1);
  EXPECT_EQ(PartitionCount(50'001, 1), 2);
  EXPECT_EQ(PartitionCount(10, 640LL << 20), 10);
  EXPECT_EQ(PartitionCount(int64_t{1} << 40, int64_t{1} << 50), 4096);
}

TEST(PartitionOf, SpreadsHashesOverAllPartitions) {
  EXPECT_EQ(PartitionOf(0, 10), 0);
  EXPECT_EQ(PartitionOf(~uint64_t{0}, 10), 9);
  EXPECT_EQ(PartitionOf(uint64_t{1} << 63, 2), 1);
}

}  // namespace
}  // namespace hayate::shuffle
