#include <arrow/array.h>
#include <arrow/compute/cast.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "hayate/csv/scan.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

using TablePtr = std::shared_ptr<arrow::Table>;

TablePtr FrameOf(const std::string& dir) {
  EXPECT_TRUE(frame::Commit(dir, {.name = "clicks", .key = "k"}).ok());
  auto reader = frame::FrameReader::Open(dir);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return (*reader)->ReadTable().ValueOrDie();
}

TablePtr TableOf(const TestFiles& files, const IngestOptions& options) {
  auto table = IngestToTable(files.Objects(), options);
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? table->rows : nullptr;
}

std::filesystem::file_time_type WrittenAt(const std::string& path) {
  return std::filesystem::last_write_time(path);
}

TEST(IngestToParts, GivesTheTableThatIngestToTableGives) {
  TestFiles files;
  files.Add("a.csv", "a,b\n1,x\n,\"\"\n2,y\n");
  files.Add("b.csv", "a,b\n");
  files.Add("c.csv", "b,a\nz,1.5\n");
  for (const int64_t sample_bytes : {0, 1000}) {
    IngestOptions options{.threads = 3};
    options.csv.sample_bytes = sample_bytes;
    options.csv.block_bytes = 5;
    const std::string dir = files.Path("frame" + std::to_string(sample_bytes));
    const auto result = IngestToParts(files.Objects(), options, dir);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->rows, 4);
    EXPECT_EQ(result->schema->field(0)->type()->ToString(), "double");
    EXPECT_EQ(frame::FinishedParts(dir).ValueOrDie().size(), 3U);
    EXPECT_TRUE(FrameOf(dir)->Equals(*TableOf(files, options)));
  }
}

TEST(IngestToParts, GoesOnWhereAnInterruptedRunStopped) {
  TestFiles files;
  files.Add("a.csv", "a\n1\n2\n");
  files.Add("b.csv", "a\n3\n");
  files.Add("c.csv", "a\n4\n");
  const std::string dir = files.Path("frame");
  ASSERT_TRUE(IngestToParts(files.Objects(), {}, dir).ok());
  const auto part = [&](int64_t i) { return dir + "/" + frame::PartFileName(i, ".arrow"); };
  const auto first_written = WrittenAt(part(0));
  // As if the run had been killed before the second part was there.
  std::filesystem::remove(dir + "/" + frame::PartFileName(1, ".json"));
  std::filesystem::remove(part(1));
  IngestProgress last;
  IngestOptions options;
  options.progress = [&](const IngestProgress& progress) {
    last = progress;
    return true;
  };
  const auto again = IngestToParts(files.Objects(), options, dir);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->rows, 4);
  EXPECT_EQ(last.rows, 4);
  EXPECT_EQ(last.shards_done, 3);
  EXPECT_EQ(last.bytes_read, last.bytes_total);
  EXPECT_EQ(WrittenAt(part(0)), first_written) << "was kept";
  EXPECT_EQ(FrameOf(dir)->num_rows(), 4);
}

// The larger shard is read first; what is wrong with it keeps no other from being read.
TEST(IngestToParts, AFailedShardLetsThoseBeforeItBeFinished) {
  const std::string bad = "a\n1\n2\n3\n4\nbad\n5\n";
  for (const int threads : {1, 2}) {
    IngestOptions options{.threads = threads};
    options.csv.schema = {{"a", "INT64"}};
    options.csv.block_bytes = 2;
    TestFiles both;
    both.Add("a.csv", "a\n1\nbad\n");
    both.Add("b.csv", bad);
    const auto failed = IngestToParts(both.Objects(), options, both.Path("frame"));
    EXPECT_EQ(FaultDetail::Get(failed.status())->where().object, both.Path("a.csv"));
    TestFiles second;
    second.Add("a.csv", "a\n1\n2\n");
    second.Add("b.csv", bad);
    const auto later = IngestToParts(second.Objects(), options, second.Path("frame"));
    EXPECT_EQ(FaultDetail::Get(later.status())->where().object, second.Path("b.csv"));
    const auto finished = frame::FinishedParts(second.Path("frame")).ValueOrDie();
    ASSERT_EQ(finished.size(), 1U);
    EXPECT_EQ(finished[0].number, 0);
  }
}

TEST(IngestToParts, KeepsNoPartOfAnotherTypeOrAnotherFile) {
  TestFiles files;
  files.Add("a.csv", "a\n1\n");
  files.Add("b.csv", "a\n2\n");
  const std::string dir = files.Path("frame");
  ASSERT_TRUE(IngestToParts(files.Objects(), {}, dir).ok());
  IngestOptions as_text;
  as_text.csv.schema = {{"a", "STRING"}};
  ASSERT_TRUE(IngestToParts(files.Objects(), as_text, dir).ok());
  for (const auto& part : frame::FinishedParts(dir).ValueOrDie()) {
    EXPECT_EQ(part.schema->field(0)->type()->ToString(), "string");
  }
  as_text.csv.null_values = {"1"};
  ASSERT_TRUE(IngestToParts(files.Objects(), as_text, dir).ok());
  EXPECT_EQ(FrameOf(dir)->column(0)->null_count(), 1) << "other options, other values";
  TestFiles others;
  others.Add("a.csv", "a\nx\ny\n");
  others.Add("b.csv", "a\nz\n");
  EXPECT_EQ(IngestToParts(others.Objects(), as_text, dir).ValueOrDie().rows, 3);
}

// With many columns and shards it would make a manifest larger than one may be.
TEST(IngestToParts, WhatIsKnownToGoOnIsNotInTheManifest) {
  TestFiles files;
  files.Add("a.csv", "a_long_name_of_a_column\n1\n");
  const std::string dir = files.Path("frame");
  ASSERT_TRUE(IngestToParts(files.Objects(), {}, dir).ok());
  EXPECT_FALSE(frame::FinishedParts(dir).ValueOrDie()[0].resume.empty());
  Json manifest = ToJson(frame::Commit(dir, {}).ValueOrDie());
  EXPECT_EQ(manifest["parts"].dump().find("a_long_name_of_a_column"), std::string::npos);
}

// The integer without an exact double lies in a part that is kept, the real number in one that is
// not.
TEST(IngestToParts, RemembersInexactIntegersOfKeptParts) {
  TestFiles files;
  files.Add("a.csv", "a\n1\n9007199254740993\n");
  files.Add("b.csv", "a\n2\n");
  const std::string dir = files.Path("frame");
  IngestOptions options;
  options.csv.sample_bytes = 3;
  options.csv.block_bytes = 3;
  ASSERT_TRUE(IngestToParts(files.Objects(), options, dir).ok());
  files.Add("c.csv", "a\n3\n0.5\n");
  const auto result = IngestToParts(files.Objects(), options, dir);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->schema->field(0)->type()->ToString(), "string");
  ASSERT_EQ(result->warnings.size(), 1U);
  EXPECT_NE(result->warnings[0].find("9007199254740993"), std::string::npos);
}

TEST(IngestToParts, FinishesTheShardsBeforeTheOneThatFails) {
  TestFiles files;
  files.Add("a.csv", "a,b\n1,1\n");
  files.Add("b.csv", "a,b\n1\n");
  const std::string dir = files.Path("frame");
  EXPECT_FALSE(IngestToParts(files.Objects(), {.threads = 2}, dir).ok());
  const auto parts = frame::FinishedParts(dir).ValueOrDie();
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].number, 0);
}

void WriteParquet(const TestFiles& files, const std::string& path, const TablePtr& table,
                  int64_t row_group_rows) {
  static_cast<void>(files);
  auto sink = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  ASSERT_TRUE(
      parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, row_group_rows).ok());
  ASSERT_TRUE(sink->Close().ok());
}

// Shards with bad values, one of them without any row that is good.
IngestOptions AddBadShards(TestFiles* files) {
  files->Add("a.csv", "n\n1\nx\n2\n");
  files->Add("b.csv", "n\n3\n");
  files->Add("c.csv", "n\ny\n4,5\n");
  IngestOptions options;
  options.csv.schema = {{"n", "INT64"}};
  options.csv.on_error = csv::OnError::kQuarantine;
  return options;
}

TEST(IngestToParts, PutsBadRowsIntoAFrameBesideThePartsAndKeepsThem) {
  TestFiles files;
  const IngestOptions options = AddBadShards(&files);
  const IngestedTable table = IngestToTable(files.Objects(), options).ValueOrDie();
  EXPECT_EQ(table.rows->num_rows(), 4 - 1);
  EXPECT_EQ(table.put_aside->num_rows(), 3);
  const std::string dir = files.Path("frame");
  const auto part = [&](const std::string& folder, int64_t i, const char* suffix) {
    return folder + "/" + frame::PartFileName(i, suffix);
  };
  const std::string aside = dir + "/" + kQuarantineFolder;
  ASSERT_TRUE(IngestToParts(files.Objects(), options, dir).ok());
  for (const char* lost : {"", "a part", "what was put aside"}) {
    const auto kept_at = WrittenAt(part(dir, 2, ".arrow"));
    if (std::string(lost) == "a part") std::filesystem::remove(part(dir, 0, ".json"));
    if (std::string(lost) == "what was put aside") {
      std::filesystem::remove(part(aside, 0, ".json"));
    }
    const auto again = IngestToParts(files.Objects(), options, dir).ValueOrDie();
    EXPECT_EQ(again.warnings, table.warnings) << lost;
    EXPECT_EQ(WrittenAt(part(dir, 2, ".arrow")), kept_at) << lost;
    EXPECT_EQ(frame::FinishedParts(aside).ValueOrDie().size(), 3U);
  }
  ASSERT_TRUE(CommitQuarantine(dir, "k", false).ok());
  ASSERT_TRUE(CommitQuarantine(dir, "k", false).ok())
      << "where the run died before the other commit";
  EXPECT_TRUE(FrameOf(aside)->Equals(*table.put_aside));
  EXPECT_EQ(IngestToParts(files.Objects(), options, dir)->warnings, table.warnings);
  // Nothing can be added to what is committed: all is read again.
  std::filesystem::remove(part(dir, 0, ".json"));
  EXPECT_EQ(IngestToParts(files.Objects(), options, dir)->warnings, table.warnings);
  ASSERT_TRUE(CommitQuarantine(dir, "k", false).ok());
  EXPECT_TRUE(FrameOf(aside)->Equals(*table.put_aside));
  EXPECT_TRUE(FrameOf(dir)->Equals(*table.rows));
}

TEST(IngestToParts, CountsTheNullsOfKeptPartsOnce) {
  TestFiles files;
  IngestOptions options = AddBadShards(&files);
  options.csv.on_error = csv::OnError::kNull;
  const auto warnings = IngestToTable(files.Objects(), options).ValueOrDie().warnings;
  EXPECT_EQ(warnings.size(), 2U);
  const std::string dir = files.Path("frame");
  for (int run = 0; run < 2; ++run) {
    EXPECT_EQ(IngestToParts(files.Objects(), options, dir)->warnings, warnings);
    std::filesystem::remove(dir + "/" + frame::PartFileName(0, ".json"));
  }
}

TEST(Parquet, IsReadByRowGroupsAndCastToOneSchema) {
  TestFiles text;
  text.Add("a.csv", "a,s\n1,x\n,y\n3,\n");
  IngestOptions narrow;
  narrow.csv.schema = {{"a", "int32"}};
  const auto first = TableOf(text, narrow);
  const auto second = TableOf(text, {});
  TestFiles files;
  files.Add("a.parquet", "");
  files.Add("b.parquet", "");
  WriteParquet(files, files.Path("a.parquet"), first, 2);
  WriteParquet(files, files.Path("b.parquet"), second, 2);
  for (const int threads : {1, 3}) {
    IngestOptions options{.threads = threads};
    options.csv.block_bytes = 8;
    const auto table = TableOf(files, options);
    ASSERT_EQ(table->num_rows(), 6);
    EXPECT_EQ(table->schema()->field(0)->type()->ToString(), "int64");
    EXPECT_TRUE(table->Slice(3)->Equals(*second));
    const std::string dir = files.Path("frame" + std::to_string(threads));
    ASSERT_TRUE(IngestToParts(files.Objects(), options, dir).ok());
    EXPECT_TRUE(FrameOf(dir)->Equals(*table));
    options.csv.columns = {"s"};
    EXPECT_EQ(TableOf(files, options)->schema()->field_names(), (std::vector<std::string>{"s"}));
  }
}

// A column of few values is next to nothing in the file.
TEST(Parquet, IsReadInBatchesOfABlockAsDecoded) {
  std::string rows = "a,s\n";
  for (int i = 0; i < 20000; ++i) rows += "1," + std::string(300, 'x') + "\n";
  TestFiles text;
  text.Add("a.csv", rows);
  TestFiles files;
  files.Add("a.parquet", "");
  WriteParquet(files, files.Path("a.parquet"), TableOf(text, {}), 8000);
  ASSERT_LT(std::filesystem::file_size(files.Path("a.parquet")), 100000U);
  IngestOptions options;
  options.csv.block_bytes = 1 << 20;
  const auto table = TableOf(files, options);
  ASSERT_EQ(table->num_rows(), 20000);
  EXPECT_GE(table->column(1)->num_chunks(), 6);
  for (const auto& chunk : table->column(1)->chunks()) {
    EXPECT_LT(arrow::util::TotalBufferSize(*chunk), 2 * options.csv.block_bytes);
  }
}

// The rows of random batches as Parquet, with Arrow's own types beside them or without.
std::string RandomParquet(std::mt19937_64& random, const TablePtr& table) {
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  parquet::ArrowWriterProperties::Builder types;
  if (random() % 2 == 0) types.store_schema();
  parquet::WriterProperties::Builder pages;
  pages.data_pagesize(1 << (6 + random() % 10));
  const auto rows = static_cast<int64_t>(1 + random() % static_cast<uint64_t>(table->num_rows()));
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, rows,
                                         pages.build(), types.build())
                  .ok());
  return sink->Finish().ValueOrDie()->ToString();
}

TablePtr RandomTable(std::mt19937_64& random) {
  const auto rows = static_cast<int64_t>(1 + random() % 3000);
  return arrow::Table::FromRecordBatches({frame::RandomBatch(random, rows)}).ValueOrDie();
}

TEST(Parquet, IsTheSameHoweverItIsReadAndWritten) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 10; ++round) {
    const TablePtr wanted = RandomTable(random);
    TestFiles files;
    files.Add("a.parquet", RandomParquet(random, wanted));
    for (const int threads : {1, 3}) {
      IngestOptions options{.threads = threads};
      options.csv.block_bytes = 1 << (8 + random() % 14);
      const auto table = TableOf(files, options);
      ASSERT_EQ(table->num_rows(), wanted->num_rows());
      for (const std::string& name : wanted->ColumnNames()) {
        const auto read = table->GetColumnByName(name);
        ASSERT_NE(read, nullptr) << name;
        const auto same = arrow::compute::Cast(wanted->GetColumnByName(name), read->type());
        ASSERT_TRUE(same.ok()) << same.status();
        EXPECT_TRUE(read->Equals(*same->chunked_array())) << name << ", " << threads << " threads";
      }
    }
  }
}

TEST(Parquet, WithAWrongByteIsReadOrAnErrorThatNamesIt) {
  std::mt19937_64 random(2);
  const std::string bytes = RandomParquet(random, RandomTable(random));
  for (int round = 0; round < 200; ++round) {
    std::string damaged = bytes;
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << (random() % 8));
    }
    TestFiles files;
    files.Add("a.parquet", damaged);
    const auto table =
        IngestToTable(files.Objects(), {.threads = static_cast<int>(1 + random() % 3)});
    if (table.ok()) continue;
    ASSERT_NE(FaultDetail::Get(table.status()), nullptr) << table.status();
    EXPECT_EQ(FaultDetail::Get(table.status())->where().object, files.Path("a.parquet"));
  }
}

TEST(Parquet, ThatIsDamagedOrDoesNotGoTogetherIsAnError) {
  TestFiles text;
  text.Add("a.csv", "a\n1\n");
  TestFiles files;
  files.Add("a.parquet", "");
  WriteParquet(files, files.Path("a.parquet"), TableOf(text, {}), 10);
  files.Add("b.parquet", "PAR1 and nothing more");
  const auto damaged = IngestToTable(files.Objects(), {});
  EXPECT_EQ(FaultOf(damaged.status()), Fault::kInput);
  EXPECT_EQ(FaultDetail::Get(damaged.status())->where().object, files.Path("b.parquet"));
  IngestOptions as_text;
  as_text.csv.schema = {{"a", "STRING"}};
  WriteParquet(files, files.Path("b.parquet"), TableOf(text, as_text), 10);
  const auto conflict = IngestToTable(files.Objects(), {});
  EXPECT_EQ(FaultOf(conflict.status()), Fault::kInput) << conflict.status();
  EXPECT_EQ(conflict.status().message(),
            files.Path("b.parquet") + " has string, " + files.Path("a.parquet") + " has int64");
  EXPECT_EQ(FaultDetail::Get(conflict.status())->where().ToString(),
            files.Path("b.parquet") + ", column a");
  TestFiles mixed;
  mixed.Add("a.csv", "a\n1\n");
  mixed.Add("b.parquet", "PAR1");
  EXPECT_EQ(FaultOf(IngestToTable(mixed.Objects(), {}).status()), Fault::kInput);
}

TEST(Parquet, ThatIsOneByNameOnlyIsAnError) {
  for (const char* bytes : {"", "a,b\n1,2\n"}) {
    TestFiles files;
    files.Add("a.parquet", bytes);
    const auto table = IngestToTable(files.Objects(), {});
    EXPECT_EQ(FaultOf(table.status()), Fault::kInput);
    EXPECT_NE(table.status().message().find("named as Parquet"), std::string::npos);
    IngestOptions as_text{.format = "csv"};
    as_text.allow_empty = true;
    EXPECT_EQ(IngestToTable(files.Objects(), as_text).ok(), bytes[0] != 0);
  }
}

TEST(Parquet, ATimeBeyondTheRangeOfTheOtherFilesUnitNamesItsFile) {
  const auto times = [](arrow::TimeUnit::type unit, int64_t value) {
    const auto type = arrow::timestamp(unit);
    arrow::TimestampBuilder builder(type, arrow::default_memory_pool());
    EXPECT_TRUE(builder.Append(value).ok());
    return arrow::Table::Make(arrow::schema({arrow::field("t", type)}),
                              {builder.Finish().ValueOrDie()});
  };
  TestFiles files;
  files.Add("a.parquet", "");
  files.Add("b.parquet", "");
  WriteParquet(files, files.Path("a.parquet"), times(arrow::TimeUnit::NANO, 1), 1);
  WriteParquet(files, files.Path("b.parquet"), times(arrow::TimeUnit::MILLI, 253402300799000), 1);
  const auto table = IngestToTable(files.Objects(), {});
  EXPECT_EQ(FaultOf(table.status()), Fault::kInput) << table.status();
  EXPECT_EQ(FaultDetail::Get(table.status())->where().ToString(),
            files.Path("b.parquet") + ", column t");
}

// Values of every class, so that columns widen in all ways.
std::string RandomValue(std::mt19937* random, unsigned flavour) {
  const auto pick = [&](unsigned n) { return (*random)() % n; };
  if (pick(10) == 0) return "";
  switch (flavour) {
    case 0:
      return std::to_string(static_cast<int>(pick(2000)) - 1000);
    case 1:
      return pick(30) == 0 ? "9007199254740993" : std::to_string(pick(100));
    case 2:
      return pick(20) == 0 ? "0.5" : std::to_string(pick(100));
    case 3:
      return pick(2) == 0 ? "true" : "false";
    case 4:
      return "2026-01-0" + std::to_string(1 + pick(9));
    case 5:
      return "2026-01-01 00:00:0" + std::to_string(pick(10)) + " UTC";
    case 6:
      return pick(3) == 0 ? "\"\"" : "\"a,\"\"\n\xe3\x81\x82\"";
    case 7:
      return pick(3) == 0 ? "9223372036854775808" : pick(2) == 0 ? "1" : "NaN";
    default:
      return pick(40) == 0 ? "007" : "NaN";
  }
}

TEST(IngestToTable, AnyThreadsBlocksSamplesAndKernelsGiveTheSame) {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    TestFiles files;
    const bool tolerant = round % 2 == 1;
    const unsigned columns = 1 + random() % 4;
    std::vector<unsigned> flavours;
    for (unsigned c = 0; c < columns; ++c) flavours.push_back(random() % 9);
    const unsigned shards = 1 + random() % 4;
    for (unsigned s = 0; s < shards; ++s) {
      std::string text;
      for (unsigned c = 0; c < columns; ++c) text += (c > 0 ? ",c" : "c") + std::to_string(c);
      text += "\n";
      const unsigned rows = random() % 60;
      for (unsigned r = 0; r < rows; ++r) {
        for (unsigned c = 0; c < columns; ++c) {
          if (c > 0) text += ",";
          // One cell in many is of another flavour: a surprise.
          text += RandomValue(&random, random() % 200 == 0 ? random() % 9 : flavours[c]);
        }
        if (tolerant && random() % 30 == 0) text += ",too many";
        text += "\n";
      }
      const std::string name = "s" + std::to_string(s);
      random() % 2 == 0 ? files.Add(name, text) : files.Add(name, TestFiles::Gzip(text));
    }
    IngestOptions options{.threads = 1, .allow_empty = true};
    if (round % 3 == 0) options.csv.true_values = {"true", "1"};
    options.csv.sample_bytes = 1000;
    if (tolerant) {
      options.csv.on_error = round % 4 == 1 ? csv::OnError::kQuarantine : csv::OnError::kNull;
      if (columns > 1) options.csv.schema = {{"c0", "INT64"}, {"c1", "FLOAT64"}};
    }
    const auto expected = IngestToTable(files.Objects(), options).ValueOrDie();
    for (const int threads : {1, 2, 4}) {
      for (const int64_t block_bytes : {1, 3, 50, 1 << 20}) {
        const auto& kernels = csv::ScanKernels();
        setenv("HAYATE_FORCE_KERNEL", kernels[random() % kernels.size()].name, 1);
        options.threads = threads;
        options.csv.block_bytes = block_bytes;
        options.csv.sample_bytes = std::array{0, 1, 100, 10000}[random() % 4];
        const auto got = IngestToTable(files.Objects(), options).ValueOrDie();
        // NaN is NaN here.
        const auto equal = arrow::EqualOptions::Defaults().nans_equal(true);
        ASSERT_TRUE(got.rows->Equals(*expected.rows, equal))
            << threads << " threads, blocks of " << block_bytes << "\n"
            << got.rows->schema()->ToString() << "\n"
            << expected.rows->schema()->ToString();
        ASSERT_EQ(got.warnings, expected.warnings);
        if (got.put_aside != nullptr) {
          ASSERT_TRUE(got.put_aside->Equals(*expected.put_aside));
        }
      }
    }
    unsetenv("HAYATE_FORCE_KERNEL");
  }
}

}  // namespace
}  // namespace hayate::ingest
