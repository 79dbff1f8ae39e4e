#include "hayate/worker/native_tasks.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "hayate/source/source.h"
#include "hayate/worker/channel.h"

namespace hayate::worker {
namespace {

class NativeTasksTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "hayate-native-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string Path(const std::string& name) const { return (root_ / name).string(); }

  std::string Read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(Path(name)).rdbuf();
    return text.str();
  }

  Result<NativeResult> Run(const Json& task) const {
    ARROW_ASSIGN_OR_RAISE(auto pair, Channel::Pair());
    ProgressSender progress(&pair.first, 1);
    return RunNativeTask(task, &progress);
  }

  Json Objects(const std::string& pattern) const {
    Json objects = Json::array();
    const auto found = source::List({Path(pattern)}, "/");
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok()) return objects;
    for (const source::Object& object : *found) objects.push_back(ToJson(object));
    return objects;
  }

  static Json Commit(const std::string& name) {
    return {{"name", name}, {"key", std::string(32, 'a')}, {"key_parts", {{"part", "digest"}}}};
  }

  // Two shards, three rows.
  Result<NativeResult> Ingest() const {
    std::ofstream(Path("a-0.csv")) << "user,n\nx,1\ny,2\n";
    std::ofstream(Path("a-1.csv")) << "user,n\nx,3\n";
    return Run({{"kind", "ingest"},
                {"objects", Objects("a-*.csv")},
                {"format", "csv"},
                {"options", Json::object()},
                {"threads", 2},
                {"dir", Path("in")},
                {"commit", Commit("in")}});
  }

  std::filesystem::path root_;
};

TEST_F(NativeTasksTest, TakesCsvThroughAFrameToAnOutput) {
  const auto ingested = Ingest();
  ASSERT_TRUE(ingested.ok()) << ingested.status();
  EXPECT_EQ(ingested->result["rows"], 3);
  EXPECT_EQ(ingested->result["parts"], 2);
  EXPECT_EQ(ingested->result["table"], true);
  ASSERT_EQ(ingested->result["columns"].size(), 2U);
  EXPECT_EQ(ingested->result["columns"][1][0], "n");

  const auto shuffled = Run({{"kind", "shuffle"},
                             {"frame", Path("in")},
                             {"columns", {"user"}},
                             {"partitions", 4},
                             {"threads", 1},
                             {"dir", Path("shuffled")},
                             {"commit", Commit("shuffled")}});
  ASSERT_TRUE(shuffled.ok()) << shuffled.status();
  EXPECT_EQ(shuffled->result["rows"], 3);

  const auto whole = Run({{"kind", "consolidate"}, {"frame", Path("in")}, {"threads", 1}});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(std::filesystem::exists(whole->result["path"].get<std::string>()));

  const auto output = Run({{"kind", "output"},
                           {"frame", Path("in")},
                           {"path", Path("out.csv")},
                           {"format", "csv"},
                           {"threads", 1}});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->result["rows"], 3);
  EXPECT_EQ(Read("out.csv"), "user,n\nx,1\ny,2\nx,3\n");

  EXPECT_TRUE(Run({{"kind", "verify"}, {"frame", Path("in")}}).ok());
}

TEST_F(NativeTasksTest, AFrameIsDurableAfterItsSyncOnly) {
  ASSERT_TRUE(Ingest().ok());
  EXPECT_NE(Read("in/frame.json").find("\"boot\""), std::string::npos);
  ASSERT_TRUE(Run({{"kind", "sync"}, {"frame", Path("in")}}).ok());
  EXPECT_EQ(Read("in/frame.json").find("\"boot\""), std::string::npos);
}

// As after a worker that died behind its commit: the second one writes nothing anew.
TEST_F(NativeTasksTest, ATaskThatIsRepeatedAfterItsCommitAnswersTheSame) {
  const auto first = Ingest();
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string manifest = Read("in/frame.json");
  const auto written = std::filesystem::last_write_time(Path("in/part-00000.arrow"));
  const auto again = Ingest();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->result, first->result);
  EXPECT_EQ(Read("in/frame.json"), manifest);
  EXPECT_EQ(std::filesystem::last_write_time(Path("in/part-00000.arrow")), written);
}

TEST_F(NativeTasksTest, ChecksumsInTheOrderOfTheObjects) {
  std::ofstream(Path("a")) << "same";
  std::ofstream(Path("b")) << "other";
  std::ofstream(Path("c")) << "same";
  const auto done = Run({{"kind", "checksum"}, {"objects", Objects("?")}});
  ASSERT_TRUE(done.ok()) << done.status();
  const Json& checksums = done->result["checksums"];
  ASSERT_EQ(checksums.size(), 3U);
  EXPECT_EQ(checksums[0], checksums[2]);
  EXPECT_NE(checksums[0], checksums[1]);
}

TEST_F(NativeTasksTest, NamesWhatIsWrongWithATask) {
  EXPECT_EQ(FaultOf(Run({{"kind", "dance"}}).status()), Fault::kInternal);
  EXPECT_EQ(FaultOf(Run(Json::object()).status()), Fault::kInternal);
  EXPECT_EQ(FaultOf(Run({{"kind", "ingest"}}).status()), Fault::kInternal);
  EXPECT_EQ(FaultOf(Run({{"kind", "verify"}, {"frame", Path("none")}}).status()), Fault::kInput);
}

TEST(ProgressSenderTest, SendsAtMostFourTimesASecondAndNoticesTheEnd) {
  auto pair = Channel::Pair();
  ASSERT_TRUE(pair.ok());
  ProgressSender progress(&pair->first, 7);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(progress.Send({{"rows", i}}));
  bool closed = false;
  const auto messages = pair->second.ReceiveAvailable(&closed);
  ASSERT_TRUE(messages.ok());
  ASSERT_GE(messages->size(), 1U);
  EXPECT_LE(messages->size(), 40U);
  EXPECT_EQ(messages->front()["task"], 7);
  EXPECT_EQ(messages->front()["rows"], 0);
  ProgressSender other(&pair->first, 8);
  {
    const Channel gone = std::move(pair->second);
  }
  EXPECT_FALSE(other.Send({{"rows", 1}}));
  EXPECT_FALSE(other.Send({{"rows", 2}})) << "and stays so";
}

}  // namespace
}  // namespace hayate::worker
