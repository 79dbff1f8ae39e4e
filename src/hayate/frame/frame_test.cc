// Whole frames: write, commit, read; what an interruption leaves; what damage says.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include "hayate/base/file.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

class FrameTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& file) const { return dir_.path() + "/" + file; }

  Part MustWrite(int64_t number, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                 std::vector<std::pair<int64_t, int64_t>> groups = {}) {
    auto writer = PartWriter::Make(dir_.path(), number, batches.front()->schema()).ValueOrDie();
    for (const auto& batch : batches) EXPECT_TRUE(writer->Write(*batch).ok());
    writer->set_groups(std::move(groups));
    return writer->Finish().ValueOrDie();
  }

  // As if the machine had been started again since.
  static void SetBoot(const std::string& path) {
    auto json = ParseJson(ReadFile(path).ValueOrDie(), path).ValueOrDie();
    json["boot"] = "another";
    ASSERT_TRUE(WriteFileAtomically(path, ToCanonicalText(json)).ok());
  }

  TestDirectory dir_;
};

TEST_F(FrameTest, RandomBatchesComeBackAsTheyWereWritten) {
  std::mt19937_64 random(7);
  std::vector<std::shared_ptr<arrow::RecordBatch>> all;
  for (int64_t part = 0; part < 4; ++part) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (int i = 0; i < 3; ++i) batches.push_back(RandomBatch(random, random() % 200));
    MustWrite(part, batches);
    all.insert(all.end(), batches.begin(), batches.end());
  }
  const auto manifest = Commit(dir_.path(), {.name = "x", .key = "k", .expected_parts = 4});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  const auto expected = arrow::Table::FromRecordBatches(all).ValueOrDie();
  const auto read = frame->ReadTable().ValueOrDie();
  ASSERT_TRUE(read->ValidateFull().ok());
  EXPECT_TRUE(read->Equals(*expected));
  EXPECT_EQ(frame->manifest().rows, expected->num_rows());
  EXPECT_TRUE(Verify(dir_.path()).ok());
  for (int i = 0; i < 20; ++i) {
    const int64_t start = random() % (expected->num_rows() + 1);
    const int64_t stop = start + random() % (expected->num_rows() - start + 1);
    EXPECT_TRUE(
        frame->ReadRows(start, stop).ValueOrDie()->Equals(*expected->Slice(start, stop - start)));
  }
  const auto streamed = frame->Stream().ValueOrDie()->ToTable().ValueOrDie();
  EXPECT_TRUE(streamed->Equals(*expected));
}

TEST_F(FrameTest, BatchesOutliveTheReader) {
  std::mt19937_64 random(1);
  const auto batch = RandomBatch(random, 100);
  MustWrite(0, {batch});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  std::shared_ptr<arrow::RecordBatch> read;
  {
    const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
    read = frame->ReadBatch(0, 0).ValueOrDie();
  }
  EXPECT_TRUE(read->Equals(*batch));
}

TEST_F(FrameTest, MappedBuffersAreAlignedTo8Bytes) {
  std::mt19937_64 random(2);
  MustWrite(0, {RandomBatch(random, 100), RandomBatch(random, 33)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  for (int64_t i = 0; i < 2; ++i) {
    const auto batch = frame->ReadBatch(0, i).ValueOrDie();
    for (int column = 0; column < batch->num_columns(); ++column) {
      for (const auto& buffer : batch->column_data(column)->buffers) {
        EXPECT_EQ(buffer ? buffer->address() % 8 : 0, 0U);
      }
    }
  }
}

TEST_F(FrameTest, SlotsUnderNullsHoldNanAndNat) {
  arrow::DoubleBuilder doubles;
  ASSERT_TRUE(doubles.AppendValues({1, 2, std::nan(""), 4}, {true, false, true, false}).ok());
  arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO),
                                arrow::default_memory_pool());
  ASSERT_TRUE(times.AppendValues({5, 6, 7, 8}, {false, true, false, true}).ok());
  arrow::FloatBuilder floats;
  ASSERT_TRUE(floats.AppendValues({1, 2, 3, 4}, {false, true, true, true}).ok());
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("d", arrow::float64()),
                     arrow::field("t", arrow::timestamp(arrow::TimeUnit::MICRO)),
                     arrow::field("f", arrow::float32())}),
      4,
      arrow::ArrayVector{doubles.Finish().ValueOrDie(), times.Finish().ValueOrDie(),
                         floats.Finish().ValueOrDie()});
  // Slices keep an offset into the bitmap.
  MustWrite(0, {batch, batch->Slice(1, 3)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  const auto first = frame->ReadBatch(0, 0).ValueOrDie();
  EXPECT_TRUE(first->Equals(*batch, arrow::EqualOptions::Defaults().nans_equal(true)));
  const double* d = first->column_data(0)->GetValues<double>(1);
  EXPECT_EQ(d[0], 1);
  EXPECT_TRUE(std::isnan(d[1]) && std::isnan(d[2]) && std::isnan(d[3]));
  EXPECT_EQ(first->column(0)->null_count(), 2);
  const int64_t* t = first->column_data(1)->GetValues<int64_t>(1);
  EXPECT_EQ(t[0], std::numeric_limits<int64_t>::min());
  EXPECT_EQ(t[1], 6);
  EXPECT_TRUE(std::isnan(first->column_data(2)->GetValues<float>(1)[0]));
  const auto sliced = frame->ReadBatch(0, 1).ValueOrDie();
  EXPECT_EQ(sliced->column_data(1)->GetValues<int64_t>(1)[1], std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(std::isnan(sliced->column_data(0)->GetValues<double>(1)[0]));
  // The caller's own memory is not written to.
  EXPECT_EQ(batch->column_data(0)->GetValues<double>(1)[1], 2);
}

TEST_F(FrameTest, ANonExistentFrameSaysSo) {
  const auto frame = FrameReader::Open(Path("nothing"));
  ASSERT_FALSE(frame.ok());
  EXPECT_EQ(FaultOf(frame.status()), Fault::kInput);
}

TEST_F(FrameTest, AnUnfinishedWriterLeavesNothing) {
  std::mt19937_64 random(3);
  {
    const auto batch = RandomBatch(random, 10);
    auto writer = PartWriter::Make(dir_.path(), 0, batch->schema()).ValueOrDie();
    ASSERT_TRUE(writer->Write(*batch).ok());
  }
  EXPECT_TRUE(ListDirectory(dir_.path()).ValueOrDie().empty());
  EXPECT_FALSE(FrameReader::Open(dir_.path()).ok());
}

TEST_F(FrameTest, FinishedPartsAreFoundAgainAndUncommittedOnesAreNoFrame) {
  std::mt19937_64 random(3);
  MustWrite(2, {RandomBatch(random, 10)});
  auto writer = PartWriter::Make(dir_.path(), 0, TestSchema()).ValueOrDie();
  ASSERT_TRUE(writer->Write(*RandomBatch(random, 5)).ok());
  writer->set_extra({{"metric", 0.5}});
  const Part written = writer->Finish().ValueOrDie();
  EXPECT_FALSE(FrameReader::Open(dir_.path()).ok());
  const auto parts = FinishedParts(dir_.path()).ValueOrDie();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].number, 0);
  EXPECT_EQ(parts[0].extra, Json({{"metric", 0.5}}));
  EXPECT_EQ(parts[0].checksum, written.checksum);
  EXPECT_TRUE(parts[0].schema->Equals(*TestSchema()));
  EXPECT_EQ(parts[1].number, 2);
}

TEST_F(FrameTest, ASidecarWithoutItsWholePartIsSkipped) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 3; ++i) MustWrite(i, {RandomBatch(random, 10)});
  std::filesystem::remove(Path("part-00000.arrow"));
  std::filesystem::resize_file(Path("part-00001.arrow"), 100);
  const auto parts = FinishedParts(dir_.path()).ValueOrDie();
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].number, 2);
}

TEST_F(FrameTest, APartFromBeforeARebootCountsOnlyByItsChecksum) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 2; ++i) MustWrite(i, {RandomBatch(random, 10)});
  for (const char* name : {"part-00000.json", "part-00001.json"}) SetBoot(Path(name));
  FlipByte(Path("part-00001.arrow"), 200);  // as pages that never reached the disk
  EXPECT_TRUE(FinishedParts(dir_.path()).ValueOrDie().empty());
  EXPECT_EQ(UncheckedParts(dir_.path()).ValueOrDie().size(), 2U);
  ASSERT_TRUE(CheckParts(dir_.path()).ok());
  const auto parts = FinishedParts(dir_.path()).ValueOrDie();
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].number, 0);
  EXPECT_TRUE(UncheckedParts(dir_.path()).ValueOrDie().empty());
}

TEST_F(FrameTest, ACommitTakesNoPartFromBeforeARebootThatIsDamaged) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 2; ++i) MustWrite(i, {RandomBatch(random, 10)});
  SetBoot(Path("part-00001.json"));
  FlipByte(Path("part-00001.arrow"), 200);
  const auto manifest = Commit(dir_.path(), {.expected_parts = 2});
  ASSERT_FALSE(manifest.ok());
  EXPECT_EQ(FaultDetail::Get(manifest.status())->where().partition, 1);
}

TEST_F(FrameTest, ASidecarThatCannotBeReadIsSkipped) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 2; ++i) MustWrite(i, {RandomBatch(random, 10)});
  std::filesystem::resize_file(Path("part-00000.json"), 30);
  std::filesystem::resize_file(Path("part-00001.json"), 1LL << 30);
  EXPECT_TRUE(FinishedParts(dir_.path()).ValueOrDie().empty());
}

TEST_F(FrameTest, AFrameThatIsNotOnTheDiskIsTrustedUntilTheMachineStartsAgain) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 100)});
  const auto manifest = Commit(dir_.path(), {.durable = false}).ValueOrDie();
  EXPECT_FALSE(manifest.boot.empty());
  EXPECT_FALSE(manifest.needs_verify());
  FlipByte(Path("part-00000.arrow"), 200);
  EXPECT_TRUE(FrameReader::Open(dir_.path()).ok());
  SetBoot(Path("frame.json"));
  EXPECT_TRUE(ReadManifest(dir_.path()).ValueOrDie().needs_verify());
  EXPECT_EQ(FaultOf(FrameReader::Open(dir_.path()).status()), Fault::kInput);
  FlipByte(Path("part-00000.arrow"), 200);  // as it was
  EXPECT_TRUE(FrameReader::Open(dir_.path()).ok());
}

TEST_F(FrameTest, ADurableFrameSaysNoBoot) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 100)});
  ASSERT_TRUE(Commit(dir_.path(), {.name = "x", .durable = false}).ok());
  ASSERT_TRUE(MakeDurable(dir_.path()).ok());
  const auto manifest = ReadManifest(dir_.path()).ValueOrDie();
  EXPECT_EQ(manifest.boot, "");
  EXPECT_EQ(manifest.name, "x");
  ASSERT_TRUE(MakeDurable(dir_.path()).ok());
}

TEST_F(FrameTest, APartThatIsMissingOrShortIsFoundByStat) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 3; ++i) MustWrite(i, {RandomBatch(random, 10)});
  const auto manifest = Commit(dir_.path(), {}).ValueOrDie();
  EXPECT_EQ(FindMissingPart(dir_.path(), manifest), std::nullopt);
  std::filesystem::remove(Path("part-00002.arrow"));
  EXPECT_EQ(FindMissingPart(dir_.path(), manifest), 2);
  std::filesystem::resize_file(Path("part-00001.arrow"), 100);
  EXPECT_EQ(FindMissingPart(dir_.path(), manifest), 1);
}

TEST_F(FrameTest, CommitRemovesSidecarsAndLeftovers) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 10)});
  ASSERT_TRUE(WriteFileAtomically(Path(".part-00001.arrow.0123456789abcdef.tmp"), "x").ok());
  ASSERT_TRUE(WriteFileAtomically(Path(".whole.arrow.0123456789abcdef.tmp"), "x").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("whole.arrow"), "old").ok());
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(),
            (std::vector<std::string>{"frame.json", "part-00000.arrow"}));
}

TEST_F(FrameTest, CommitNamesTheMissingPart) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 10)});
  MustWrite(2, {RandomBatch(random, 10)});
  const auto manifest = Commit(dir_.path(), {.name = "clicks", .expected_parts = 3});
  ASSERT_FALSE(manifest.ok());
  EXPECT_EQ(FaultDetail::Get(manifest.status())->where().partition, 1);
  EXPECT_FALSE(std::filesystem::exists(Path("frame.json")));
}

TEST_F(FrameTest, TooFewRowsAreTheInputsFault) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 10)});
  const auto manifest = Commit(dir_.path(), {.name = "clicks", .min_rows = 11});
  ASSERT_FALSE(manifest.ok());
  EXPECT_EQ(FaultOf(manifest.status()), Fault::kInput);
  EXPECT_NE(manifest.status().message().find("10 rows"), std::string::npos);
}

TEST_F(FrameTest, ATruncatedPartIsNamedWhenTheFrameIsOpened) {
  std::mt19937_64 random(3);
  for (int64_t i = 0; i < 2; ++i) MustWrite(i, {RandomBatch(random, 100)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  std::filesystem::resize_file(Path("part-00001.arrow"), 500);
  const auto frame = FrameReader::Open(dir_.path());
  ASSERT_FALSE(frame.ok());
  EXPECT_EQ(FaultOf(frame.status()), Fault::kInput);
  EXPECT_EQ(FaultDetail::Get(frame.status())->where().object, Path("part-00001.arrow"));
}

TEST_F(FrameTest, VerifyFindsOneFlippedBit) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 100)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  ASSERT_TRUE(Verify(dir_.path()).ok());
  const auto size = static_cast<int64_t>(std::filesystem::file_size(Path("part-00000.arrow")));
  FlipByte(Path("part-00000.arrow"), size / 2);
  const Status status = Verify(dir_.path());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FaultDetail::Get(status)->where().object, Path("part-00000.arrow"));
}

TEST_F(FrameTest, ValuesAreAdoptedAndCommitted) {
  ASSERT_TRUE(WriteFileAtomically(Path("part-00000.value.json"), "{\"auc\": 0.7}").ok());
  Part part;
  part.codec = "json";
  part.file = "part-00000.value.json";
  part.extra = {{"auc", 0.7}};
  ASSERT_TRUE(AdoptPart(dir_.path(), part).ok());
  const auto manifest = Commit(dir_.path(), {.name = "model"});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_FALSE(manifest->is_table());
  const auto frame = FrameReader::Open(dir_.path());
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ((*frame)->manifest().parts[0].extra["auc"], 0.7);
  EXPECT_EQ(FaultOf((*frame)->ReadTable().status()), Fault::kUsage);
}

TEST_F(FrameTest, AnArrowFileFromElsewhereIsDescribedWhenAdopted) {
  std::mt19937_64 random(3);
  const Part written = MustWrite(0, {RandomBatch(random, 10), RandomBatch(random, 20)});
  std::filesystem::remove(Path("part-00000.json"));
  Part part;
  part.number = 0;
  const Part adopted = AdoptPart(dir_.path(), part).ValueOrDie();
  EXPECT_EQ(adopted.rows, 30);
  EXPECT_EQ(adopted.checksum, written.checksum);
  EXPECT_TRUE(adopted.schema->Equals(*TestSchema()));
  EXPECT_EQ(adopted.inexact_as_double, written.inexact_as_double);
}

TEST_F(FrameTest, ClearFrameRemovesAllThatIsOurs) {
  std::mt19937_64 random(3);
  MustWrite(0, {RandomBatch(random, 10)});
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  MustWrite(1, {RandomBatch(random, 10)});
  ASSERT_TRUE(WriteFileAtomically(Path("notes.txt"), "mine").ok());
  ASSERT_TRUE(ClearFrame(dir_.path()).ok());
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(), std::vector<std::string>{"notes.txt"});
}

TEST_F(FrameTest, BatchesWithOtherDictionariesBecomeOnePart) {
  std::vector<int64_t> all;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t i = 0; i < 4; ++i) {
    std::vector<int64_t> values;
    for (int64_t k = 0; k < 70; ++k) values.push_back(i * 60 + k);
    batches.push_back(LabelledBatch(values, 300));
    batches.push_back(batches.back()->Slice(0, 3));
    all.insert(all.end(), values.begin(), values.end());
    all.insert(all.end(), values.begin(), values.begin() + 3);
  }
  const Part part = MustWrite(0, batches);
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  EXPECT_TRUE(Verify(dir_.path()).ok());
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  EXPECT_EQ(frame->NumBatches(0).ValueOrDie(), 8);
  EXPECT_TRUE(frame->manifest().schema->Equals(*part.schema));
  const auto table = frame->ReadTable().ValueOrDie();
  ASSERT_TRUE(table->ValidateFull().ok());
  const auto batch = table->CombineChunksToBatch().ValueOrDie();
  ASSERT_EQ(batch->num_rows(), static_cast<int64_t>(all.size()));
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    ASSERT_EQ(LabelAt(*batch, i), LabelOf(all[static_cast<size_t>(i)], 300));
  }
}

TEST_F(FrameTest, GroupsComeInOrderOfFirstAppearance) {
  // Groups of one to three rows, dealt to three partitions; the result must be in their order.
  std::mt19937_64 random(11);
  std::vector<std::vector<int64_t>> values(3);
  std::vector<std::vector<std::pair<int64_t, int64_t>>> groups(3);
  std::vector<int64_t> expected;
  for (int64_t first_row = 0; first_row < 5000; ++first_row) {
    const auto part = random() % 3;
    const auto rows = static_cast<int64_t>(random() % 4);
    groups[part].emplace_back(first_row, rows);
    for (int64_t i = 0; i < rows; ++i) {
      values[part].push_back(first_row * 10 + i);
      expected.push_back(first_row * 10 + i);
    }
  }
  for (int64_t part = 0; part < 3; ++part) {
    const auto i = static_cast<size_t>(part);
    MustWrite(part, {LabelledBatch(values[i])}, groups[i]);  // each with its own dictionary
  }
  const auto manifest = Commit(dir_.path(), {.name = "grouped"});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  const auto table = frame->ReadTable().ValueOrDie();
  ASSERT_TRUE(table->ValidateFull().ok());
  ASSERT_EQ(table->num_rows(), static_cast<int64_t>(expected.size()));
  const auto batch = table->CombineChunksToBatch().ValueOrDie();
  const auto& column = static_cast<const arrow::Int64Array&>(*batch->column(0));
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    ASSERT_EQ(column.Value(i), expected[static_cast<size_t>(i)]) << i;
    ASSERT_EQ(LabelAt(*batch, i), LabelOf(column.Value(i)));
  }
}

}  // namespace
}  // namespace hayate::frame
