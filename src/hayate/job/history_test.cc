#include "hayate/job/history.h"

#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

class History : public InFolder {
 protected:
  RunRecord Record(const std::string& id, double seconds) const {
    RunRecord record;
    record.id = id;
    record.job = "/shop/job.py";
    record.started = "2026-11-2" + id + "T00:00:00Z";
    record.status = "done";
    record.nodes.push_back({.name = "features", .kind = "stage", .state = "run"});
    record.Add({.node = "features",
                .kind = "stage",
                .partition = 0,
                .start_s = 1,
                .end_s = 1 + seconds,
                .usage = {{"cpu_s", 2.5}, {"user_cpu_s", 2}, {"max_rss_bytes", 1000}}});
    return record;
  }
};

TEST_F(History, TellsHowLongAStageTookLastTime) {
  ASSERT_TRUE(AddToHistory(Path("state.db"), Record("1", 10)).ok());
  ASSERT_TRUE(AddToHistory(Path("state.db"), Record("2", 12)).ok());
  const auto seconds = LastSeconds(Path("state.db"), "/shop/job.py").ValueOrDie();
  EXPECT_EQ(seconds, (std::map<std::string, double>{{"features", 12.0}}));
  EXPECT_TRUE(LastSeconds(Path("state.db"), "/other/job.py")->empty());
}

TEST_F(History, ResumedAndFailedRunsAreNoMeasure) {
  RunRecord resumed = Record("1", 3);
  resumed.nodes[0].tasks_kept = 5;
  ASSERT_TRUE(AddToHistory(Path("state.db"), resumed).ok());
  RunRecord failed = Record("2", 4);
  failed.status = "failed";
  ASSERT_TRUE(AddToHistory(Path("state.db"), failed).ok());
  EXPECT_TRUE(LastSeconds(Path("state.db"), "/shop/job.py")->empty());
}

TEST_F(History, MayBeMissing) {
  EXPECT_TRUE(LastSeconds(Path("state.db"), "/shop/job.py")->empty());
}

TEST_F(History, ADamagedDatabaseIsAnErrorThatSaysWhatToDo) {
  Write("state.db", std::string(5000, 'x'));
  const Status status = AddToHistory(Path("state.db"), Record("1", 1));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(FormatForUser(status).find("Delete it"), std::string::npos);
}

TEST(RunRecordTest, SumsTheTasksOfANode) {
  RunRecord record;
  record.nodes.push_back({.name = "features", .kind = "stage", .state = "run"});
  record.Add(
      {.node = "features", .kind = "shuffle", .start_s = 1, .end_s = 2, .usage = {{"cpu_s", 1.0}}});
  record.Add(
      {.node = "features",
       .kind = "stage",
       .start_s = 2,
       .end_s = 5,
       .usage = {{"cpu_s", 3.0}, {"user_cpu_s", 2.0}, {"user_wall_s", 2.5}, {"max_rss_bytes", 7}}});
  record.Add({.node = "features",
              .kind = "stage",
              .start_s = 2,
              .end_s = 4,
              .usage = {{"cpu_s", 2.0}, {"user_cpu_s", 1.0}, {"max_rss_bytes", 5}}});
  const NodeRecord& node = record.nodes[0];
  EXPECT_EQ(node.tasks, 2);
  EXPECT_DOUBLE_EQ(node.wall_s(), 4);
  EXPECT_DOUBLE_EQ(node.cpu_s, 6);
  EXPECT_DOUBLE_EQ(node.user_cpu_s, 3);
  EXPECT_EQ(node.max_rss_bytes, 7);
  const Json json = record.ToJson();
  EXPECT_EQ(json["tasks"].size(), 3u);
  EXPECT_EQ(json["stages"][0]["user_cpu_s"], 3.0);
}

}  // namespace
}  // namespace hayate::job
