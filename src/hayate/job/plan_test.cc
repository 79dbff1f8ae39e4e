#include "hayate/job/plan.h"

#include "hayate/frame/writer.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

class PlanTest : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    store_ = std::make_unique<Store>(Path(".hayate"));
    ASSERT_TRUE(store_->Create().ok());
    Write("clicks-0.csv", "user_id\n1\n");
    job_ = ExampleJob(Path("job.py"));
  }

  Result<Plan> Make(const PlanOptions& options = {}) {
    description_ = MustParse(job_);
    ARROW_ASSIGN_OR_RAISE(const Graph graph, Graph::Make(description_));
    PlanReads reads;
    reads.checksums = [](const std::vector<source::Object>& objects) {
      return Result<std::vector<std::string>>(std::vector<std::string>(objects.size(), "no"));
    };
    reads.verify = [this](const std::string& dir) {
      verified_.push_back(dir);
      return verify_;
    };
    return Plan::Make(description_, graph, *store_, options, reads);
  }

  // Everything that the plan says is there afterwards.
  void RunAll() {
    const Plan plan = Make().ValueOrDie();
    for (size_t i = 0; i < plan.nodes.size(); ++i) {
      if (plan.nodes[i].state != PlannedNode::State::kRun) continue;
      Json extra = Json::object();
      if (!plan.nodes[i].files.empty()) extra["files"] = FilesToJson(plan.nodes[i].files);
      PutFrame(*store_, description_.nodes[i].FrameName(0), plan.nodes[i].key,
               plan.nodes[i].key_parts, extra);
    }
  }

  std::vector<std::string> Reasons(const PlanOptions& options = {}) {
    std::vector<std::string> reasons;
    for (const PlannedNode& node : Make(options).ValueOrDie().nodes) reasons.push_back(node.reason);
    return reasons;
  }

  // Of the node's frame.
  void ChangeManifest(int64_t node, const std::function<void(frame::Manifest*)>& change) {
    const std::string dir = Make().ValueOrDie().nodes[static_cast<size_t>(node)].dirs[0];
    frame::Manifest manifest = frame::ReadManifest(dir).ValueOrDie();
    change(&manifest);
    ASSERT_TRUE(frame::WriteManifest(dir, manifest).ok());
  }

  std::vector<std::string> verified_;
  Status verify_;
  Json job_;
  Description description_;
  std::unique_ptr<Store> store_;
};

using Texts = std::vector<std::string>;

TEST_F(PlanTest, AFirstRunRunsEverything) {
  EXPECT_EQ(Make()->CountToRun(), 4);
  EXPECT_EQ(Reasons(), Texts(4, "never ran"));
}

TEST_F(PlanTest, ASecondRunRunsNothing) {
  RunAll();
  EXPECT_EQ(Make()->CountToRun(), 0);
  EXPECT_EQ(Reasons(), Texts(4, "nothing changed"));
}

TEST_F(PlanTest, AnEditRerunsWhatDependsOnItAndSaysWhy) {
  RunAll();
  job_["nodes"][2]["code"]["model()"] = std::string(32, 'e');
  EXPECT_EQ(Reasons(), (Texts{"nothing changed", "nothing changed", "code of model() changed",
                              "its input model changed"}));
}

TEST_F(PlanTest, AParameterRerunsTheStageThatReadsIt) {
  RunAll();
  job_["nodes"][1]["inputs"][1]["value"]["value"] = "2026-11-25";
  const Texts reasons = Reasons();
  EXPECT_EQ(reasons[0], "nothing changed");
  EXPECT_EQ(reasons[1], "parameter day: 2026-11-24 → 2026-11-25");
}

TEST_F(PlanTest, GoingBackFindsTheOldFrames) {
  RunAll();
  job_["nodes"][2]["code"]["model()"] = std::string(32, 'e');
  RunAll();
  job_["nodes"][2]["code"]["model()"] = std::string(32, 'b');
  EXPECT_EQ(Make()->CountToRun(), 0);
}

TEST_F(PlanTest, ANewFileIsNamed) {
  RunAll();
  Write("clicks-1.csv", "user_id\n2\n");
  const Texts reasons = Reasons();
  EXPECT_EQ(reasons[0], "file clicks-1.csv is new");
  EXPECT_EQ(reasons[1], "its input clicks changed");
}

TEST_F(PlanTest, FreshRunsAllThatIsSelected) {
  RunAll();
  EXPECT_EQ(Reasons({.fresh = true}), Texts(4, "asked for (--fresh)"));
  const Plan plan = Make({.targets = {"features"}, .fresh = true}).ValueOrDie();
  EXPECT_EQ(plan.CountToRun(), 2);
}

TEST_F(PlanTest, FromRunsAStageAndWhatDependsOnIt) {
  RunAll();
  EXPECT_EQ(Reasons({.from = {"model"}}),
            (Texts{"nothing changed", "nothing changed", "asked for (--from model)",
                   "asked for (--from model)"}));
}

TEST_F(PlanTest, ATargetLeavesTheRestAlone) {
  const Plan plan = Make({.targets = {"features"}}).ValueOrDie();
  EXPECT_EQ(plan.nodes[2].state, PlannedNode::State::kUnused);
  EXPECT_EQ(plan.CountToRun(), 2);
}

TEST_F(PlanTest, WhatOnlyKeptStagesReadNeedNotBeThere) {
  RunAll();
  // features and model are read by scores, whose frame is there.
  const Plan plan = Make().ValueOrDie();
  std::filesystem::remove_all(plan.nodes[1].dirs[0]);
  const Plan again = Make().ValueOrDie();
  EXPECT_EQ(again.CountToRun(), 0);
  EXPECT_EQ(again.nodes[1].reason, "not needed");
}

TEST_F(PlanTest, WhatARunningStageReadsIsMadeAgain) {
  RunAll();
  const Plan plan = Make().ValueOrDie();
  std::filesystem::remove_all(plan.nodes[1].dirs[0]);
  job_["nodes"][3]["code"]["scores()"] = std::string(32, 'e');
  const Plan again = Make().ValueOrDie();
  EXPECT_EQ(again.nodes[1].state, PlannedNode::State::kRun);
  EXPECT_EQ(again.nodes[2].state, PlannedNode::State::kKept);
}

TEST_F(PlanTest, AnUnfinishedStageSaysHowFarItIs) {
  RunAll();
  const Plan plan = Make().ValueOrDie();
  const std::string& dir = plan.nodes[1].dirs[0];
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/part-00000.value.json") << "1";
  frame::Part part;
  part.codec = "json";
  part.file = "part-00000.value.json";
  ASSERT_TRUE(frame::AdoptPart(dir, part).ok());
  std::filesystem::remove_all(plan.nodes[3].dirs[0]);
  EXPECT_EQ(Reasons()[1], "unfinished: 1 of 1 partitions done");
}

TEST_F(PlanTest, AFrameWithAPartMissingIsMadeAgain) {
  RunAll();
  ChangeManifest(1, [](frame::Manifest* manifest) {
    manifest->parts.resize(4);
    for (int64_t i = 0; i < 4; ++i) {
      frame::Part& part = manifest->parts[static_cast<size_t>(i)];
      part.number = i;
      part.file = frame::PartFileName(i, ".value.json");
      part.codec = "json";
    }
  });
  std::filesystem::remove_all(Make().ValueOrDie().nodes[3].dirs[0]);
  const std::string dir = Make().ValueOrDie().nodes[1].dirs[0];
  for (int i = 0; i < 3; ++i) {
    std::ofstream(dir + "/" + frame::PartFileName(i, ".value.json")).flush();
  }
  const Plan plan = Make().ValueOrDie();
  EXPECT_EQ(plan.nodes[1].state, PlannedNode::State::kRun);
  EXPECT_EQ(plan.nodes[1].reason, "part 3 of its result is missing");
  EXPECT_TRUE(plan.nodes[1].discards());
}

TEST_F(PlanTest, AManifestThatCannotBeReadCountsAsAbsentAndStopsNothing) {
  RunAll();
  for (const size_t node : {0, 2}) {
    std::ofstream(Make().ValueOrDie().nodes[node].dirs[0] + "/frame.json") << "{\"format\": 2}";
  }
  std::filesystem::remove_all(Make().ValueOrDie().nodes[3].dirs[0]);
  const Plan plan = Make().ValueOrDie();
  EXPECT_EQ(plan.warnings.size(), 1u);
  EXPECT_NE(plan.nodes[2].reason.find("frame.json cannot be read"), std::string::npos);
  // Another key, whose newest frame it is.
  job_["nodes"][2]["code"]["model()"] = std::string(32, 'e');
  EXPECT_EQ(Reasons()[2], "its last result cannot be read");
}

TEST_F(PlanTest, AFrameThatWasNotOnTheDiskWhenTheMachineWentDownIsVerified) {
  RunAll();
  ChangeManifest(3, [](frame::Manifest* manifest) { manifest->boot = "another"; });
  EXPECT_EQ(Make().ValueOrDie().CountToRun(), 0);
  EXPECT_EQ(verified_.size(), 1u);
  verify_ = Fail(Fault::kInput, "damaged");
  EXPECT_EQ(Reasons()[3], "its result was lost when the machine went down");
  verify_ = Fail(Fault::kInterrupted, "interrupted");
  EXPECT_FALSE(Make().ok());
}

TEST_F(PlanTest, AMissingFileNamesThePattern) {
  std::filesystem::remove(folder_ / "clicks-0.csv");
  const auto plan = Make();
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(FaultOf(plan.status()), Fault::kInput);
  EXPECT_NE(FormatForUser(plan.status()).find("clicks-*.csv"), std::string::npos);
}

TEST(CountTasksTest, SlicesCoverAllRowsAndThereIsAlwaysOne) {
  Node node;
  node.mode = Mode::kRows;
  node.rows = 100;
  frame::Manifest manifest;
  for (const auto& [rows, tasks] : {std::pair(0, 1), {1, 1}, {100, 1}, {101, 2}, {250, 3}}) {
    manifest.rows = rows;
    EXPECT_EQ(CountTasks(node, {&manifest}), tasks) << rows;
  }
}

TEST(CountTasksTest, TooManyTasksAreRefusedWithABetterNumberOfRows) {
  EXPECT_TRUE(CheckTaskCount(100'000, 1, {}).ok());
  const std::string text = FormatForUser(CheckTaskCount(500'000, 2, {.stage = "s"}));
  EXPECT_NE(text.find("500000 tasks"), std::string::npos) << text;
  EXPECT_NE(text.find("rows=10"), std::string::npos) << text;
}

TEST(CountTasksTest, TwoSplitInputsCountTogether) {
  Node node;
  node.mode = Mode::kPartition;
  frame::Manifest big, small;
  big.rows = 50'000'000;
  big.bytes = 4'000'000'000;
  EXPECT_EQ(CountTasks(node, {&big, &small}), CountTasks(node, {&small, &big}));
  EXPECT_GT(CountTasks(node, {&big, &big}), CountTasks(node, {&big}));
}

TEST_F(PlanTest, AQueryRunsAgainWhenItsKeyChangesOrNoResultCounts) {
  Json& node = job_["nodes"][0];
  node = {{"kind", "source"},
          {"name", "clicks"},
          {"format", "bigquery"},
          {"query", {{"sql", "SELECT * FROM shop.clicks"}}},
          {"key", {{"SQL", std::string(32, '5')}, {"table shop.clicks", "of 01:00"}}},
          {"line", 8}};
  EXPECT_EQ(Reasons()[0], "never ran");
  RunAll();
  EXPECT_EQ(Make()->CountToRun(), 0);
  node["key"]["table shop.clicks"] = "of 02:00";
  EXPECT_EQ(Reasons()[0], "table shop.clicks: of 01:00 → of 02:00");
  EXPECT_EQ(Reasons()[1], "its input clicks changed");
  node["rerun"] = "the SQL has CURRENT_DATE";
  node["key"]["run"] = "1";
  EXPECT_EQ(Reasons()[0], "the SQL has CURRENT_DATE");
}

}  // namespace
}  // namespace hayate::job
