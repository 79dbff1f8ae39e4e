#include "hayate/ingest/export.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

std::string Uri(int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, 12 - digits.size(), '0');
  return "gs://bucket/run/part-" + digits + ".csv.gz";
}

std::string Csv(int64_t first, int64_t rows) {
  std::string text = "n,s\n";
  for (int64_t i = first; i < first + rows; ++i) {
    text += std::to_string(i) + ",\"a, " + std::to_string(i) + "\"\n";
  }
  return TestFiles::Gzip(text);
}

// A bucket in memory in which a script changes something at each poll.
class FakeExport : public Export {
 public:
  using Step = std::function<void(FakeExport*)>;

  /// At each poll the next step is taken; after the last one the export is done.
  explicit FakeExport(std::vector<Step> steps) : steps_(steps.begin(), steps.end()) {}

  void Put(int64_t number, std::string bytes) { PutAs(Uri(number), std::move(bytes)); }

  void PutAs(const std::string& uri, std::string bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    objects_[uri] = {++generation_, std::move(bytes)};
  }

  void Remove(int64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    objects_.erase(Uri(number));
  }

  Result<ExportState> Poll() override {
    if (!poll_error.ok()) return poll_error;
    if (!steps_.empty()) {
      const Step step = std::move(steps_.front());
      steps_.pop_front();
      if (step) step(this);
      if (!steps_.empty()) return ExportState{};
    }
    return ExportState{.done = true, .files = files, .rows = rows};
  }

  Result<std::vector<source::Object>> List() override {
    ++listings;
    if (before_list) before_list(this);
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<source::Object> listed;
    for (const auto& [uri, object] : objects_) {
      listed.push_back({.uri = uri,
                        .size_bytes = static_cast<int64_t>(object.bytes.size()),
                        .generation = object.generation});
    }
    return listed;
  }

  void Plan(const source::Object& object) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    planned[object.uri].push_back(object.generation);
  }
  void Forget(const source::Object& object) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    forgotten[object.uri].push_back(object.generation);
  }

  Result<std::unique_ptr<ByteStream>> Open(const source::Object& object) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (planned[object.uri].empty()) opened_unplanned = true;
    }
    if (before_open) before_open(this, object);
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !hold || stopped_; });
    if (stopped_) return Fail(Fault::kInterrupted, "stopped");
    const auto found = objects_.find(object.uri);
    if (found == objects_.end() || found->second.generation != object.generation) {
      return Fail(Fault::kInput, "there is no such object", {.object = object.uri});
    }
    std::string bytes = found->second.bytes;
    if (damage[object.uri] > 0) {
      --damage[object.uri];
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
    }
    return std::make_unique<MemoryStream>(std::move(bytes), 1000, object.uri);
  }

  void Stop() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

  int64_t files = 0;
  int64_t rows = 0;
  Status poll_error;
  std::atomic<int> listings = 0;
  std::atomic<bool> opened_unplanned = false;
  bool hold = false;  ///< Open waits until Stop
  std::map<std::string, int> damage;
  std::function<void(FakeExport*)> before_list;
  std::function<void(FakeExport*, const source::Object&)> before_open;
  std::map<std::string, std::vector<int64_t>> planned;
  std::map<std::string, std::vector<int64_t>> forgotten;

 private:
  struct Stored {
    int64_t generation = 0;
    std::string bytes;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Step> steps_;
  std::map<std::string, Stored> objects_;
  int64_t generation_ = 0;
  bool stopped_ = false;
};

class ExportTest : public testing::Test {
 protected:
  Result<ExportResult> Read(Export* source) { return IngestExport(source, options_, dir()); }

  std::string dir() const { return files_.Path("frame"); }

  // The column n of the frame, in order.
  std::vector<int64_t> Numbers() {
    EXPECT_TRUE(frame::Commit(dir(), {.name = "data", .durable = false}).ok());
    const auto reader = frame::FrameReader::Open(dir()).ValueOrDie();
    const auto table = reader->ReadTable().ValueOrDie();
    std::vector<int64_t> numbers;
    for (const auto& chunk : table->GetColumnByName("n")->chunks()) {
      const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
      for (int64_t i = 0; i < values.length(); ++i) numbers.push_back(values.Value(i));
    }
    return numbers;
  }

  static std::vector<int64_t> UpTo(int64_t n) {
    std::vector<int64_t> numbers;
    for (int64_t i = 0; i < n; ++i) numbers.push_back(i);
    return numbers;
  }

  TestFiles files_;
  ExportOptions options_ = {.schema = arrow::schema({arrow::field("n", arrow::int64()),
                                                     arrow::field("s", arrow::utf8())}),
                            .threads = 2,
                            .between_polls = std::chrono::milliseconds(1)};
};

TEST_F(ExportTest, ReadsWhatComesWhileItComesAndInTheOrderOfTheNumbers) {
  FakeExport source({[](FakeExport*) {}, [](FakeExport* e) { e->Put(2, Csv(200, 100)); },
                     [](FakeExport* e) {
                       e->Put(0, Csv(0, 100));
                       e->Put(3, Csv(300, 0));
                     },
                     [](FakeExport* e) { e->Put(1, Csv(100, 100)); }});
  source.files = 4;
  source.rows = 300;
  const auto result = Read(&source);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 4);
  EXPECT_EQ(result->rows, 300);
  EXPECT_EQ(result->read_again, 0);
  EXPECT_GT(result->reading.count(), 0);
  EXPECT_EQ(Numbers(), UpTo(300));
  EXPECT_EQ(source.planned.size(), 4U);
  EXPECT_FALSE(source.opened_unplanned);
  for (const auto& [uri, generations] : source.planned) EXPECT_EQ(generations.size(), 1U) << uri;
}

TEST_F(ExportTest, ReadsAnObjectAgainThatIsReplacedWhileTheExportRuns) {
  FakeExport source({[](FakeExport* e) {
                       e->Put(0, Csv(7000, 50));
                       e->Put(1, Csv(100, 100));
                     },
                     [](FakeExport*) {}, [](FakeExport* e) { e->Put(0, Csv(0, 100)); }});
  source.files = 2;
  source.rows = 200;
  // The first version has been read for certain before it is replaced.
  std::mutex mutex;
  std::condition_variable opened;
  bool was_opened = false;
  source.before_open = [&](FakeExport*, const source::Object& object) {
    if (object.uri != Uri(0)) return;
    const std::lock_guard<std::mutex> lock(mutex);
    was_opened = true;
    opened.notify_all();
  };
  source.before_list = [&](FakeExport* e) {
    if (e->listings != 2) return;
    std::unique_lock<std::mutex> lock(mutex);
    opened.wait(lock, [&] { return was_opened; });
  };
  const auto result = Read(&source);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Numbers(), UpTo(200));
  EXPECT_EQ(source.planned[Uri(0)].size(), 2U);
  EXPECT_EQ(source.forgotten[Uri(0)].size(), 1U);
}

TEST_F(ExportTest, ReadsAnObjectAgainThatIsReplacedWhileItIsRead) {
  for (int trial = 0; trial < 20; ++trial) {
    FakeExport source({[](FakeExport* e) {
                         e->Put(0, Csv(0, 100));
                         e->Put(1, Csv(5000, 70));
                       },
                       [](FakeExport*) {}, [](FakeExport*) {}});
    source.files = 2;
    source.rows = 200;
    std::atomic<bool> replaced = false;
    source.before_open = [&](FakeExport* e, const source::Object& object) {
      if (object.uri == Uri(1) && !replaced.exchange(true)) e->Put(1, Csv(100, 100));
    };
    // Not done before that.
    source.before_list = [&](FakeExport* e) {
      while (e->listings == 2 && !replaced) std::this_thread::yield();
    };
    const auto result = Read(&source);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->files, 2);
    EXPECT_EQ(Numbers(), UpTo(200));
  }
}

TEST_F(ExportTest, AChangeAfterTheEndIsAnError) {
  for (const bool deleted : {false, true}) {
    FakeExport source({[](FakeExport* e) {
      e->Put(0, Csv(0, 100));
      e->Put(1, Csv(100, 100));
    }});
    source.files = 2;
    source.rows = 200;
    std::atomic<bool> replaced = false;
    source.before_open = [&](FakeExport* e, const source::Object& object) {
      if (object.uri != Uri(0) || replaced.exchange(true)) return;
      if (deleted) {
        e->Remove(1);
      } else {
        e->Put(1, Csv(100, 100));
      }
    };
    const auto result = Read(&source);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(FaultOf(result.status()), Fault::kInput);
    EXPECT_EQ(FaultDetail::Get(result.status())->where().object, Uri(1)) << result.status();
    EXPECT_NE(result.status().message().find("after the export was done"), std::string::npos)
        << result.status();
  }
}

TEST_F(ExportTest, CountsMustBeThoseOfTheExport) {
  const auto two = [](FakeExport* e) {
    e->Put(0, Csv(0, 100));
    e->Put(1, Csv(100, 100));
  };
  struct Case {
    int64_t files;
    int64_t rows;
    bool good;
  };
  for (const Case& one : {Case{2, 200, true}, Case{3, 200, false}, Case{1, 200, false},
                          Case{2, 199, false}, Case{2, 201, false}}) {
    FakeExport source({two});
    source.files = one.files;
    source.rows = one.rows;
    const auto result = Read(&source);
    EXPECT_EQ(result.ok(), one.good) << result.status();
    if (!result.ok()) {
      EXPECT_EQ(FaultOf(result.status()), Fault::kInput);
    }
  }
}

TEST_F(ExportTest, AGapAndAStrangeNameAreErrors) {
  FakeExport gap({[](FakeExport* e) {
    e->Put(0, Csv(0, 100));
    e->Put(2, Csv(100, 100));
  }});
  gap.files = 2;
  gap.rows = 200;
  EXPECT_EQ(FaultOf(Read(&gap).status()), Fault::kInput);

  for (const std::string name : {"gs://bucket/run/part-.csv.gz", "gs://bucket/run/part-12.csv.gz",
                                 "gs://bucket/run/part-0000000000001.csv.gz"}) {
    FakeExport strange({[&](FakeExport* e) {
      e->Put(0, Csv(0, 100));
      e->PutAs(name, Csv(100, 100));
    }});
    strange.files = 2;
    strange.rows = 200;
    const auto result = Read(&strange);
    EXPECT_EQ(FaultOf(result.status()), Fault::kInput) << result.status();
    EXPECT_EQ(FaultDetail::Get(result.status())->where().object, name);
  }
}

TEST_F(ExportTest, BytesThatWereDamagedOnceAreReadOnceMore) {
  for (const int times : {1, 2}) {
    FakeExport source({[](FakeExport* e) {
                         e->Put(0, Csv(0, 1000));
                         e->Put(1, Csv(1000, 1000));
                         e->Put(2, Csv(2000, 1000));
                       },
                       [](FakeExport*) {}});
    source.files = 3;
    source.rows = 3000;
    source.damage[Uri(1)] = times;
    const auto result = Read(&source);
    EXPECT_EQ(result.ok(), times == 1) << result.status();
    if (result.ok()) {
      EXPECT_EQ(Numbers(), UpTo(3000));
    } else {
      EXPECT_EQ(FaultDetail::Get(result.status())->where().object, Uri(1));
    }
  }
}

TEST_F(ExportTest, AnExportWithoutObjectsIsAFrameWithoutRows) {
  FakeExport source({[](FakeExport*) {}});
  const auto result = Read(&source);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Numbers(), UpTo(0));
}

TEST_F(ExportTest, AJobThatFailsEndsWhatIsBeingRead) {
  FakeExport source({[](FakeExport* e) { e->Put(0, Csv(0, 100)); },
                     [](FakeExport* e) { e->poll_error = Fail(Fault::kInput, "the job failed"); },
                     [](FakeExport*) {}});
  source.hold = true;  // what is read never comes
  const auto result = Read(&source);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().message(), "the job failed");
}

TEST_F(ExportTest, ACallerThatHasEnoughEndsItAlsoWhereNothingComes) {
  FakeExport source(std::vector<FakeExport::Step>(1'000'000));
  source.Put(0, Csv(0, 10));
  source.hold = true;
  std::atomic<int> asked = 0;
  options_.progress = [&](const IngestProgress&) { return ++asked < 2; };
  const auto result = Read(&source);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(FaultOf(result.status()), Fault::kInterrupted) << result.status();
}

TEST_F(ExportTest, AMarkKeepsNullAndEmptyApartWhateverIsQuoted) {
  struct Value {
    const char* text;
    std::optional<std::string> expected;
  };
  const std::string nothing;
  const std::vector<Value> strings = {
      {"", std::nullopt},   {"\"\"", std::nullopt},         {"~", nothing}, {"\"~\"", nothing},
      {"~~", "~"},          {"\"~~a,\"\"b\"", "~a,\"b"},    {"a~", "a~"},   {"\"~\"\"\"", "\""},
      {"\"a\"\"\"", "a\""}, {"\"line\nend\"", "line\nend"}, {" ", " "},     {"\"~ \"", " "}};
  const std::vector<Value> bytes = {{"", std::nullopt}, {"\"\"", std::nullopt}, {"~", nothing},
                                    {"\"~\"", nothing}, {"QQ==", "A"},          {"\"QUI=\"", "AB"}};
  std::string text = "s,n,b\n";
  int64_t rows = 0;
  for (const Value& s : strings) {
    for (const Value& b : bytes) {
      text += std::string(s.text) + "," + std::to_string(rows++) + "," + b.text + "\n";
    }
  }
  options_.schema =
      arrow::schema({arrow::field("s", arrow::utf8()), arrow::field("n", arrow::int64()),
                     arrow::field("b", arrow::binary())});
  options_.empty_mark = '~';
  FakeExport source({[&](FakeExport* e) { e->Put(0, TestFiles::Gzip(text)); }});
  source.files = 1;
  source.rows = rows;
  const auto result = Read(&source);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Numbers(), UpTo(rows));
  const auto table = frame::FrameReader::Open(dir()).ValueOrDie()->ReadTable().ValueOrDie();
  ASSERT_EQ(table->column(0)->num_chunks(), 1);
  const auto check = [](const arrow::BinaryArray& array, int64_t row, const Value& value) {
    EXPECT_EQ(array.IsNull(row), !value.expected) << value.text;
    EXPECT_EQ(array.GetString(row), value.expected.value_or("")) << value.text;
  };
  const auto& s = static_cast<const arrow::BinaryArray&>(*table->column(0)->chunk(0));
  const auto& b = static_cast<const arrow::BinaryArray&>(*table->column(2)->chunk(0));
  for (int64_t row = 0; row < rows; ++row) {
    const auto n = static_cast<int64_t>(bytes.size());
    check(s, row, strings[static_cast<size_t>(row / n)]);
    check(b, row, bytes[static_cast<size_t>(row % n)]);
  }
}

TEST_F(ExportTest, ParquetTakesTheZonesFromTheSchema) {
  const auto utc = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const auto local = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto parquet = [&](int64_t first, int64_t rows) {
    arrow::Int64Builder n;
    arrow::TimestampBuilder at(local, arrow::default_memory_pool());
    for (int64_t i = first; i < first + rows; ++i) {
      EXPECT_TRUE(n.Append(i).ok());
      EXPECT_TRUE((i % 3 == 0 ? at.AppendNull() : at.Append(i * 1'000'001)).ok());
    }
    const auto table = arrow::Table::Make(
        arrow::schema({arrow::field("n", arrow::int64()), arrow::field("at", local)}),
        {n.Finish().ValueOrDie(), at.Finish().ValueOrDie()});
    const auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
    EXPECT_TRUE(
        parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, /*chunk_size=*/40)
            .ok());
    return sink->Finish().ValueOrDie()->ToString();
  };
  FakeExport source({[&](FakeExport* e) { e->Put(1, parquet(100, 100)); },
                     [&](FakeExport* e) { e->Put(0, parquet(0, 100)); }});
  source.files = 2;
  source.rows = 200;
  options_.parquet = true;
  options_.schema = arrow::schema({arrow::field("n", arrow::int64()), arrow::field("at", utc)});
  const auto result = Read(&source);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Numbers(), UpTo(200));
  const auto table = frame::FrameReader::Open(dir()).ValueOrDie()->ReadTable().ValueOrDie();
  EXPECT_TRUE(table->schema()->field(1)->type()->Equals(*utc));
  EXPECT_TRUE(table->column(1)->GetScalar(0).ValueOrDie()->is_valid == false);
  EXPECT_EQ(table->column(1)->GetScalar(101).ValueOrDie()->ToString(),
            "1970-01-01 00:01:41.000101Z");

  options_.schema = arrow::schema({arrow::field("n", arrow::utf8()), arrow::field("at", utc)});
  FakeExport wrong({[&](FakeExport* e) { e->Put(0, parquet(0, 100)); }});
  wrong.files = 1;
  wrong.rows = 100;
  const auto refused = Read(&wrong);
  EXPECT_EQ(FaultOf(refused.status()), Fault::kInput) << refused.status();
  EXPECT_EQ(FaultDetail::Get(refused.status())->where().column, "n");
}

}  // namespace
}  // namespace hayate::ingest
