#include "hayate/job/discard.h"

#include "hayate/base/file.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

class DiscardTest : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    ASSERT_TRUE(store_.Create().ok());
    Write("clicks-0.csv", "user_id\n1\n");
    description_ = MustParse(ExampleJob(Path("job.py")));
    graph_ = std::make_unique<Graph>(Graph::Make(description_).ValueOrDie());
    const Plan plan = Make({});
    for (size_t i = 0; i < plan.nodes.size(); ++i) {
      PutFrame(store_, description_.nodes[i].name, plan.nodes[i].key, plan.nodes[i].key_parts);
    }
    copy_ = PutCopy(plan.nodes[0].key);
    other_ = PutCopy(std::string(32, 'f'));
    unfinished_ = store_.FrameDir("clicks-by-user_id", std::string(32, 'e'));
    std::filesystem::create_directories(unfinished_);
    std::ofstream(unfinished_ + "/part-00000.json") << "{}";
    std::ofstream(store_.OutputNote("/out/s.parquet")) << "{}";
  }

  Plan Make(const PlanOptions& options) {
    return Plan::Make(description_, *graph_, store_, options, {}).ValueOrDie();
  }
  std::string PutCopy(const std::string& input) {
    const Json parts = ShuffleKeyParts(input, 0, {"user_id"}, 1, false);
    PutFrame(store_, "clicks-by-user_id", KeyOf(parts), parts);
    return store_.FrameDir("clicks-by-user_id", KeyOf(parts));
  }
  static bool Committed(const std::string& dir) { return PathExists(dir + "/frame.json"); }

  Store store_{Path(".hayate")};
  Description description_;
  std::unique_ptr<Graph> graph_;
  std::string copy_, other_, unfinished_;
};

TEST_F(DiscardTest, AfterAForcedRunThatWasInterruptedThePlainOneGoesOn) {
  Plan plan = Make({.from = {"model"}});
  ASSERT_TRUE(DiscardResults(description_, *graph_, store_, &plan).ok());
  EXPECT_FALSE(plan.nodes[2].committed());
  // No task has run yet.
  const Plan next = Make({});
  EXPECT_EQ(next.nodes[1].state, PlannedNode::State::kKept);
  EXPECT_EQ(next.nodes[2].state, PlannedNode::State::kRun);
  EXPECT_EQ(next.nodes[3].state, PlannedNode::State::kRun);
  EXPECT_FALSE(PathExists(store_.OutputNote("/out/s.parquet")));
  EXPECT_TRUE(Committed(copy_));
}

TEST_F(DiscardTest, SplitCopiesGoWithTheirInput) {
  Plan plan = Make({.from = {"clicks"}});
  ASSERT_TRUE(DiscardResults(description_, *graph_, store_, &plan).ok());
  EXPECT_FALSE(Committed(copy_));
  EXPECT_TRUE(Committed(other_));
  EXPECT_FALSE(PathExists(unfinished_ + "/part-00000.json"));
}

TEST_F(DiscardTest, WhatIsKeptStays) {
  Plan plan = Make({});
  ASSERT_TRUE(DiscardResults(description_, *graph_, store_, &plan).ok());
  EXPECT_EQ(Make({}).CountToRun(), 0);
  EXPECT_TRUE(Committed(copy_));
  EXPECT_TRUE(PathExists(store_.OutputNote("/out/s.parquet")));
}

}  // namespace
}  // namespace hayate::job
