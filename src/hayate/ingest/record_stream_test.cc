#include "hayate/ingest/record_stream.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <string>

#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

// Shards of `rows` rows; the cells of all shards count up.
void AddShards(TestFiles* files, const std::vector<int>& rows) {
  int64_t next = 0;
  for (size_t shard = 0; shard < rows.size(); ++shard) {
    std::string text = "n,s\n";
    for (int i = 0; i < rows[shard]; ++i, ++next) {
      text += std::to_string(next) + ",\"text, " + std::to_string(next) + "\"\n";
    }
    const std::string name = "shard-" + std::to_string(100 + shard) + ".csv";
    if (shard % 2 == 0) {
      files->Add(name, text);
    } else {
      files->Add(name + ".gz", TestFiles::Gzip(text));
    }
  }
}

TEST(RecordStream, GivesWhatATableHoldsForAnyThreadsAndBlocks) {
  TestFiles files;
  AddShards(&files, {2, 500, 0, 1, 900, 30, 1, 1, 1, 400});
  IngestOptions options;
  const auto table = IngestToTable(files.Objects(), options).ValueOrDie().rows;
  for (const int threads : {1, 2, 3, 8}) {
    for (const int64_t block_bytes : {1, 100, 5000, 1 << 20}) {
      options.threads = threads;
      options.csv.block_bytes = block_bytes;
      const auto stream = OpenRecordStream(files.Objects(), options).ValueOrDie();
      const auto read = stream->ToTable().ValueOrDie();
      EXPECT_TRUE(read->Equals(*table)) << threads << " threads, blocks of " << block_bytes;
      EXPECT_TRUE(stream->Close().ok());
    }
  }
}

TEST(RecordStream, MayBeClosedAnywhere) {
  TestFiles files;
  AddShards(&files, {300, 2000, 1, 2000, 5});
  IngestOptions options;
  options.threads = 3;
  options.csv.block_bytes = 64;
  for (int batches = 0; batches < 40; ++batches) {
    const auto stream = OpenRecordStream(files.Objects(), options).ValueOrDie();
    for (int i = 0; i < batches; ++i) ASSERT_TRUE(stream->Next().ok());
    if (batches % 2 == 0) {
      ASSERT_TRUE(stream->Close().ok());
      EXPECT_EQ(FaultOf(stream->Next().status()), Fault::kUsage);
    }
  }
}

// The first shards end late: all that is read ahead waits for them, and must not keep them waiting.
TEST(RecordStream, AShardThatIsReadLastIsWaitedForInBoundedMemory) {
  TestFiles files;
  AddShards(&files, {5000, 1000, 1000, 1000, 1000, 1000});
  IngestOptions options;
  options.csv.block_bytes = 50;
  for (const int threads : {1, 2, 4}) {
    options.threads = threads;
    const auto stream = OpenRecordStream(files.Objects(), options).ValueOrDie();
    int64_t next = 0;
    while (true) {
      const auto batch = stream->Next().ValueOrDie();
      if (batch == nullptr) break;
      const auto& numbers = static_cast<const arrow::Int64Array&>(*batch->column(0));
      for (int64_t i = 0; i < numbers.length(); ++i) ASSERT_EQ(numbers.Value(i), next++);
    }
    EXPECT_EQ(next, 10000);
  }
}

TEST(RecordStream, AnErrorComesAfterAllRowsBeforeIt) {
  for (const int threads : {1, 2, 4}) {
    for (const int64_t block_bytes : {1, 20, 1 << 20}) {
      TestFiles files;
      files.Add("a.csv", "n\n1\n2\n");
      files.Add("b.csv", "n\n3\n4\n5,6\n7\n");
      files.Add("c.csv", "n\n8\nx,y\n");
      IngestOptions options;
      options.threads = threads;
      options.csv.block_bytes = block_bytes;
      options.csv.schema = {{"n", "INT64"}};
      const auto stream = OpenRecordStream(files.Objects(), options).ValueOrDie();
      int64_t rows = 0;
      Status error;
      while (error.ok()) {
        const auto batch = stream->Next();
        error = batch.status();
        if (batch.ok()) {
          ASSERT_NE(*batch, nullptr);
          rows += (*batch)->num_rows();
        }
      }
      EXPECT_EQ(rows, 4);
      EXPECT_EQ(FaultOf(error), Fault::kInput);
      EXPECT_EQ(FaultDetail::Get(error)->where().row, 3);
      EXPECT_TRUE(FaultDetail::Get(error)->where().object.ends_with("b.csv"));
    }
  }
}

}  // namespace
}  // namespace hayate::ingest
