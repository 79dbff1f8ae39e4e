#include "hayate/output/output.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <isa-l/igzip_lib.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/base/guarded_buffer.h"
#include "hayate/csv/write.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"
#include "hayate/output/gzip.h"
#include "hayate/output/ordered_encoder.h"

namespace hayate::output {
namespace {

// All members of a gzip text, by ISA-L.
std::string Gunzip(const std::string& packed, int* members) {
  std::string text;
  std::vector<uint8_t> window(1 << 16);
  inflate_state state;
  isal_inflate_init(&state);
  state.crc_flag = ISAL_GZIP;
  state.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(packed.data()));
  state.avail_in = static_cast<uint32_t>(packed.size());
  *members = 0;
  while (true) {
    state.next_out = window.data();
    state.avail_out = static_cast<uint32_t>(window.size());
    if (isal_inflate(&state) != ISAL_DECOMP_OK) return "corrupt";
    text.append(reinterpret_cast<char*>(window.data()), window.size() - state.avail_out);
    if (state.block_state != ISAL_BLOCK_FINISH) continue;
    ++*members;
    if (state.avail_in == 0) return text;
    isal_inflate_reset(&state);
    state.crc_flag = ISAL_GZIP;
  }
}

class OutputTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& file) const { return dir_.path() + "/" + file; }

  // Without the list column, which CSV cannot have.
  std::shared_ptr<frame::FrameReader> MakeFrame(int64_t parts, int64_t rows, bool with_lists) {
    std::mt19937_64 random(9);
    const std::string dir = Path("frame");
    for (int64_t part = 0; part < parts; ++part) {
      std::unique_ptr<frame::PartWriter> writer;
      for (int i = 0; i < 3; ++i) {
        auto batch = frame::RandomBatch(random, rows);
        if (!with_lists) batch = batch->RemoveColumn(batch->num_columns() - 1).ValueOrDie();
        if (!writer) writer = frame::PartWriter::Make(dir, part, batch->schema()).ValueOrDie();
        EXPECT_TRUE(writer->Write(*batch).ok());
      }
      EXPECT_TRUE(writer->Finish().ok());
    }
    EXPECT_TRUE(frame::Commit(dir, {.name = "frame"}).ok());
    return frame::FrameReader::Open(dir).ValueOrDie();
  }

  static std::string ExpectedCsv(const frame::FrameReader& frame) {
    std::string text;
    EXPECT_TRUE(csv::AppendHeader(*frame.manifest().schema, {}, &text).ok());
    const auto reader = frame.Stream().ValueOrDie();
    for (const auto& batch : reader->ToRecordBatches().ValueOrDie()) {
      EXPECT_TRUE(csv::AppendRows(*batch, {}, &text).ok());
    }
    return text;
  }

  frame::TestDirectory dir_;
};

TEST_F(OutputTest, CsvIsTheSameWithAnyNumberOfThreads) {
  const auto frame = MakeFrame(3, 400, false);
  const std::string expected = ExpectedCsv(*frame);
  for (const int threads : {1, 2, 8}) {
    const auto result = WriteFrame(*frame, Path("out.csv"), {.threads = threads});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->rows, frame->manifest().rows);
    EXPECT_EQ(result->bytes, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(ReadFile(Path("out.csv")).ValueOrDie(), expected);
  }
}

TEST_F(OutputTest, WhatAKilledProcessLeftOfTheFileIsRemoved) {
  const auto frame = MakeFrame(1, 10, false);
  const std::string left = Path(".a.csv.0123456789abcdef.tmp");
  ASSERT_TRUE(WriteFileAtomically(left, "half").ok());
  ASSERT_TRUE(WriteFrame(*frame, Path("a.csv"), {}).ok());
  EXPECT_FALSE(PathExists(left));
}

TEST_F(OutputTest, CompressedCsvIsManyMembersOfTheSameText) {
  const auto frame = MakeFrame(2, 400, false);
  ASSERT_TRUE(WriteFrame(*frame, Path("out.csv.gz"), {.threads = 3}).ok());
  int members = 0;
  EXPECT_EQ(Gunzip(ReadFile(Path("out.csv.gz")).ValueOrDie(), &members), ExpectedCsv(*frame));
  EXPECT_EQ(members, 7) << "the header and six batches";
}

TEST_F(OutputTest, MembersAndRowGroupsAreBoundedByBytesToo) {
  const std::string dir = Path("wide");
  arrow::StringBuilder wide;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(wide.Append(std::string(65 << 20, 'x')).ok());
  const auto schema = arrow::schema({arrow::field("s", arrow::utf8())});
  auto writer = frame::PartWriter::Make(dir, 0, schema).ValueOrDie();
  const auto column = wide.Finish().ValueOrDie();
  // 130 MB: the place for temporary files may be too small, and then says so.
  const auto written = writer->Write(*arrow::RecordBatch::Make(schema, 2, {column}));
  ASSERT_TRUE(written.ok()) << written;
  const auto finished = writer->Finish();
  ASSERT_TRUE(finished.ok()) << finished.status();
  ASSERT_TRUE(frame::Commit(dir, {.name = "wide"}).ok());
  const auto frame = frame::FrameReader::Open(dir).ValueOrDie();
  const auto compressed = WriteFrame(*frame, Path("out.csv.gz"), {.threads = 2});
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  int members = 0;
  EXPECT_EQ(Gunzip(ReadFile(Path("out.csv.gz")).ValueOrDie(), &members), ExpectedCsv(*frame));
  EXPECT_EQ(members, 3) << "the header, and each row alone";
  const auto columnar = WriteFrame(*frame, Path("out.parquet"), {.threads = 2});
  ASSERT_TRUE(columnar.ok()) << columnar.status();
  const auto parquet = parquet::ParquetFileReader::OpenFile(Path("out.parquet"));
  EXPECT_EQ(parquet->metadata()->num_row_groups(), 2);
  EXPECT_EQ(parquet->metadata()->num_rows(), 2);
}

TEST_F(OutputTest, ArrowHoldsTheTable) {
  const auto frame = MakeFrame(3, 50, true);
  ASSERT_TRUE(WriteFrame(*frame, Path("out.arrow"), {}).ok());
  const auto file =
      arrow::io::MemoryMappedFile::Open(Path("out.arrow"), arrow::io::FileMode::READ).ValueOrDie();
  const auto table =
      arrow::ipc::RecordBatchFileReader::Open(file).ValueOrDie()->ToTable().ValueOrDie();
  EXPECT_TRUE(table->Equals(*frame->ReadTable().ValueOrDie()));
}

TEST_F(OutputTest, ParquetHoldsTheTable) {
  const auto frame = MakeFrame(3, 50, true);
  for (const int threads : {1, 4}) {
    const auto result = WriteFrame(*frame, Path("out.parquet"), {.threads = threads});
    ASSERT_TRUE(result.ok()) << result.status();
    const auto file = arrow::io::ReadableFile::Open(Path("out.parquet")).ValueOrDie();
    auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
    const auto table = reader->ReadTable().ValueOrDie();
    const auto expected = frame->ReadTable().ValueOrDie();
    ASSERT_EQ(table->num_rows(), expected->num_rows());
    // Parquet has no large or dictionary types of its own: the values are what counts.
    for (int i = 0; i < table->num_columns(); ++i) {
      if (expected->field(i)->type()->id() == arrow::Type::DICTIONARY) continue;
      EXPECT_TRUE(table->column(i)->Equals(*expected->column(i))) << expected->field(i)->ToString();
    }
  }
}

TEST_F(OutputTest, PartsWithOtherDictionariesBecomeOneFile) {
  std::vector<int64_t> all;
  for (int64_t part = 0; part < 3; ++part) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < 90; ++i) values.push_back(part * 90 + i);
    const auto batch = frame::LabelledBatch(values, 300);
    auto writer = frame::PartWriter::Make(Path("labels"), part, batch->schema()).ValueOrDie();
    ASSERT_TRUE(writer->Write(*batch).ok());
    ASSERT_TRUE(writer->Finish().ok());
    all.insert(all.end(), values.begin(), values.end());
  }
  ASSERT_TRUE(frame::Commit(Path("labels"), {}).ok());
  const auto frame = frame::FrameReader::Open(Path("labels")).ValueOrDie();
  ASSERT_TRUE(WriteFrame(*frame, Path("out.arrow"), {}).ok());
  ASSERT_TRUE(WriteFrame(*frame, Path("out.parquet"), {.threads = 2}).ok());
  const auto file =
      arrow::io::MemoryMappedFile::Open(Path("out.arrow"), arrow::io::FileMode::READ).ValueOrDie();
  const auto table =
      arrow::ipc::RecordBatchFileReader::Open(file).ValueOrDie()->ToTable().ValueOrDie();
  const auto batch = table->CombineChunksToBatch().ValueOrDie();
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    ASSERT_EQ(frame::LabelAt(*batch, i), frame::LabelOf(all[static_cast<size_t>(i)], 300));
  }
}

TEST_F(OutputTest, AFrameWithoutRowsGivesAHeader) {
  auto writer =
      frame::PartWriter::Make(Path("empty"), 0, arrow::schema({arrow::field("a", arrow::int8())}))
          .ValueOrDie();
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(frame::Commit(Path("empty"), {}).ok());
  const auto frame = frame::FrameReader::Open(Path("empty")).ValueOrDie();
  ASSERT_TRUE(WriteFrame(*frame, Path("sub/out.csv"), {.threads = 2}).ok());
  EXPECT_EQ(ReadFile(Path("sub/out.csv")).ValueOrDie(), "a\n");
  ASSERT_TRUE(WriteFrame(*frame, Path("sub/out.parquet"), {}).ok());
}

TEST_F(OutputTest, ANestedColumnHasNoPlaceInCsvAndLeavesNoFile) {
  const auto frame = MakeFrame(1, 10, true);
  const auto result = WriteFrame(*frame, Path("out.csv"), {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(FaultOf(result.status()), Fault::kUsage);
  EXPECT_EQ(FaultDetail::Get(result.status())->where().column, "tags");
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(), std::vector<std::string>{"frame"});
}

TEST_F(OutputTest, AFullDiskIsAStorageFaultAndKeepsTheOldFile) {
  const auto frame = MakeFrame(2, 2000, true);
  for (const char* name : {"out.arrow", "out.parquet"}) {
    ASSERT_TRUE(WriteFileAtomically(Path(name), "old").ok());
    // A limit on the size of files acts where a full disk does: in write(2).
    signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{.rlim_cur = 10'000, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const auto result = WriteFrame(*frame, Path(name), {.threads = 2});
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(FaultOf(result.status()), Fault::kStorage) << name << result.status();
    EXPECT_EQ(ReadFile(Path(name)).ValueOrDie(), "old");
  }
}

TEST_F(OutputTest, AColumnThatParquetHasNoTypeForIsNamed) {
  const auto type = arrow::month_day_nano_interval();
  const auto schema = arrow::schema({arrow::field("a", arrow::int64()), arrow::field("d", type)});
  const auto writer = frame::PartWriter::Make(Path("frame"), 0, schema).ValueOrDie();
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(frame::Commit(Path("frame"), {}).ok());
  const auto frame = frame::FrameReader::Open(Path("frame")).ValueOrDie();
  const Status status = WriteFrame(*frame, Path("out.parquet"), {}).status();
  EXPECT_EQ(FaultOf(status), Fault::kUsage) << status;
  EXPECT_EQ(FaultDetail::Get(status)->where().column, "d");
}

TEST(FormatOfPath, IsByExtension) {
  EXPECT_EQ(FormatOfPath("a/b.csv.gz").ValueOrDie(), "csv.gz");
  EXPECT_EQ(FormatOfPath("b.csv").ValueOrDie(), "csv");
  EXPECT_EQ(FormatOfPath("b.feather").ValueOrDie(), "arrow");
  EXPECT_EQ(FormatOfPath("b.arrow").ValueOrDie(), "arrow");
  EXPECT_EQ(FormatOfPath("b.parquet").ValueOrDie(), "parquet");
  EXPECT_EQ(FaultOf(FormatOfPath("b.txt").status()), Fault::kUsage);
}

TEST(GzipMember, ComesBack) {
  std::mt19937_64 random(1);
  for (const size_t size : {0, 1, 1000, 3'000'000}) {
    std::string text(size, ' ');
    for (char& c : text) c = static_cast<char>(random());
    int members = 0;
    EXPECT_TRUE(Gunzip(GzipMember(text).ValueOrDie(), &members) == text) << size;
    EXPECT_EQ(members, 1);
  }
}

TEST(EncodeInOrder, WritesInOrderWithBoundedPieces) {
  for (const int threads : {1, 2, 7}) {
    std::atomic<int> alive = 0;
    std::atomic<int> most = 0;
    std::string all;
    const Status status = EncodeInOrder(
        200, threads,
        [&](int64_t i) -> Result<std::string> {
          int now = ++alive;
          int seen = most;
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          return std::to_string(i) + ",";
        },
        [&](const std::string& piece) {
          all += piece;
          --alive;
          return Status::OK();
        });
    ASSERT_TRUE(status.ok());
    std::string expected;
    for (int i = 0; i < 200; ++i) expected += std::to_string(i) + ",";
    EXPECT_EQ(all, expected);
    EXPECT_LE(most, 2 * threads + 1);
  }
}

TEST(EncodeInOrder, AnErrorEndsEverything) {
  for (const bool in_write : {false, true}) {
    const Status status = EncodeInOrder(
        100000, 4,
        [&](int64_t i) -> Result<std::string> {
          if (!in_write && i == 20) return Status::Invalid("encode");
          return std::string("x");
        },
        [&](const std::string&) { return in_write ? Status::IOError("write") : Status::OK(); });
    EXPECT_EQ(status.message(), in_write ? "write" : "encode");
  }
}

#ifdef HAYATE_SANITIZED
// A lie of one byte about the room that ISA-L has, as a broken deflater would take it.
TEST(GzipDeathTest, OneByteBehindEitherWindowTraps) {
  const auto deflate = [](size_t room, uint32_t input_lie, uint32_t output_lie) {
    const auto input = GuardedBuffer::Make(1000).ValueOrDie();
    const auto output = GuardedBuffer::Make(room).ValueOrDie();
    std::mt19937 random(1);  // what does not compress needs all of a small room
    for (uint8_t& byte : input.bytes()) byte = static_cast<uint8_t>(random());
    isal_zstream stream;
    isal_deflate_init(&stream);
    stream.end_of_stream = 1;
    stream.gzip_flag = IGZIP_GZIP;
    stream.next_in = input.bytes().data();
    stream.avail_in = static_cast<uint32_t>(input.bytes().size()) + input_lie;
    stream.next_out = output.bytes().data();
    stream.avail_out = static_cast<uint32_t>(output.bytes().size()) + output_lie;
    EXPECT_EQ(isal_deflate(&stream), COMP_OK);
  };
  deflate(2000, 0, 0);
  EXPECT_DEATH(deflate(2000, 1, 0), "");
  deflate(100, 0, 0);
  EXPECT_DEATH(deflate(100, 0, 1), "");
}

#ifdef __SANITIZE_ADDRESS__
// Only memory of the system's allocator has a guarded end: ARROW_DEFAULT_MEMORY_POOL=system.
TEST(ArrowBufferDeathTest, OneByteBehindItsCapacityTraps) {
  const std::shared_ptr<arrow::Buffer> buffer = arrow::AllocateBuffer(100).ValueOrDie();
  volatile uint8_t* const end = buffer->mutable_data() + buffer->capacity();
  EXPECT_DEATH(*end = 1, "heap-buffer-overflow");
}
#endif
#endif

}  // namespace
}  // namespace hayate::output
