#include "hayate/job/description.h"

#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

TEST(Description, ReadsNodesInputsAndOutputs) {
  const Description job = MustParse(ExampleJob("/shop/job.py"));
  ASSERT_EQ(job.nodes.size(), 4u);
  EXPECT_TRUE(job.nodes[0].is_source());
  EXPECT_EQ(job.nodes[1].mode, Mode::kPartition);
  EXPECT_TRUE(job.nodes[1].Splits("clicks"));
  EXPECT_TRUE(job.nodes[1].inputs[1].is_value());
  EXPECT_EQ(job.outputs[0].node, "scores");
}

TEST(Description, SplitStagesForkAndOthersStartAfreshUnlessSaid) {
  const Description job = MustParse(ExampleJob("/shop/job.py"));
  EXPECT_TRUE(job.nodes[1].fork);
  EXPECT_FALSE(job.nodes[2].fork);
}

TEST(Description, FramesOfSeveralOutputsAreNamedByStageAndOutput) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][2]["outputs"] = {"train", "valid"};
  const Description job = MustParse(json);
  EXPECT_EQ(job.nodes[2].FrameName(1), "model.valid");
  EXPECT_EQ(job.nodes[1].FrameName(0), "features");
}

TEST(Description, SaysParametersAsTheCommandLineWould) {
  Json json = ExampleJob("/shop/job.py");
  json["params"].push_back({{"name", "k"}, {"type", "int"}, {"value", 3}});
  json["params"].push_back({{"name", "none"}, {"type", "str"}, {"value", nullptr}});
  EXPECT_EQ(MustParse(json).SetTexts(), (Json{{"day", "2026-11-24"}, {"k", "3"}}));
}

TEST(Description, TellsTheWorkersWhatTheKeysWereMadeOf) {
  Json json = ExampleJob("/shop/job.py");
  json["sources"] = {{"/shop/job.py", "feed"}};
  json["nodes"][1]["code"] = {{"features()", "beef"}};
  const Json planned = MustParse(json).PlannedCode();
  EXPECT_EQ(planned["sources"], json["sources"]);
  EXPECT_EQ(planned["code"]["features"], json["nodes"][1]["code"]);
  EXPECT_FALSE(planned["code"].contains("clicks"));
}

TEST(Description, AMemberOfTheWrongTypeIsNamed) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][3]["rows"] = "many";
  const auto result = DescriptionFromJson(json);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("rows"), std::string::npos);
}

TEST(Description, AnUnknownModeOrKindIsAnError) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][3]["mode"] = "sideways";
  EXPECT_FALSE(DescriptionFromJson(json).ok());
  json["nodes"][3]["mode"] = "rows";
  json["nodes"][3]["kind"] = "sink";
  EXPECT_FALSE(DescriptionFromJson(json).ok());
}

}  // namespace
}  // namespace hayate::job
