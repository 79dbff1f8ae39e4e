#include "hayate/job/graph.h"

#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

std::string ErrorOf(const Json& json) {
  const Description description = MustParse(json);
  const auto graph = Graph::Make(description);
  EXPECT_FALSE(graph.ok());
  EXPECT_EQ(FaultOf(graph.status()), Fault::kUsage);
  return FormatForUser(graph.status());
}

TEST(Graph, OrdersEveryNodeAfterWhatItReads) {
  Json json = ExampleJob("/shop/job.py");
  std::swap(json["nodes"][0], json["nodes"][3]);
  const Description description = MustParse(json);
  const Graph graph = Graph::Make(description).ValueOrDie();
  EXPECT_EQ(graph.order(), (std::vector<int64_t>{3, 1, 2, 0}));
}

TEST(Graph, SpellsOutACycle) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][1]["inputs"].push_back({{"param", "scores"}, {"node", "scores"}, {"output", 0}});
  const std::string error = ErrorOf(json);
  EXPECT_NE(error.find("cycle"), std::string::npos) << error;
  EXPECT_NE(error.find("features ← scores ← features"), std::string::npos) << error;
}

TEST(Graph, NamesWhatNothingMakesAndWhereItIsRead) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][2]["inputs"][0]["node"] = "featurs";
  const std::string error = ErrorOf(json);
  EXPECT_NE(error.find("\"featurs\""), std::string::npos) << error;
  EXPECT_NE(error.find("line 16"), std::string::npos) << error;
}

TEST(Graph, RefusesTwoNodesOfOneName) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][2]["name"] = "features";
  EXPECT_NE(ErrorOf(json).find("two nodes"), std::string::npos);
}

TEST(Graph, RefusesANameThatCannotBeAFolder) {
  for (const std::string name : {"a/b", "", ".hidden"}) {
    Json json = ExampleJob("/shop/job.py");
    json["nodes"][3]["name"] = name;
    json["nodes"][3]["outputs"] = {name};
    json["outputs"] = Json::array();
    EXPECT_NE(ErrorOf(json).find("cannot name a frame"), std::string::npos) << name;
  }
}

TEST(Graph, RefusesRowsOverTwoSplitInputs) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][3]["split"] = {"features", "model"};
  EXPECT_NE(ErrorOf(json).find("rows= cannot split two inputs"), std::string::npos);
}

TEST(Graph, RefusesToSplitWhatAStageDoesNotRead) {
  Json json = ExampleJob("/shop/job.py");
  json["nodes"][1]["split"] = {"carts"};
  EXPECT_NE(ErrorOf(json).find("\"carts\""), std::string::npos);
}

TEST(Graph, ATargetBringsWhatItNeedsAndNothingElse) {
  const Description description = MustParse(ExampleJob("/shop/job.py"));
  const Graph graph = Graph::Make(description).ValueOrDie();
  EXPECT_EQ(graph.Select({"model"}).ValueOrDie(), (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(graph.Select({}).ValueOrDie(), (std::vector<bool>{true, true, true, true}));
}

TEST(Graph, AnUnknownTargetListsTheNames) {
  const Description description = MustParse(ExampleJob("/shop/job.py"));
  const Graph graph = Graph::Make(description).ValueOrDie();
  const auto selected = graph.Select({"modell"});
  ASSERT_FALSE(selected.ok());
  EXPECT_NE(FormatForUser(selected.status()).find("clicks, features, model, scores"),
            std::string::npos);
}

TEST(Graph, DownstreamIsWhatDependsOnIt) {
  const Description description = MustParse(ExampleJob("/shop/job.py"));
  const Graph graph = Graph::Make(description).ValueOrDie();
  EXPECT_EQ(graph.Downstream({"model"}).ValueOrDie(),
            (std::vector<bool>{false, false, true, true}));
}

TEST(Graph, ASourceThatNothingReadsIsNotFetched) {
  Json json = ExampleJob("/shop/job.py");
  Json unused = json["nodes"][0];
  unused["name"] = "carts";
  json["nodes"].push_back(unused);
  const Description description = MustParse(json);
  const Graph graph = Graph::Make(description).ValueOrDie();
  EXPECT_FALSE(graph.Select({}).ValueOrDie()[4]);
}

}  // namespace
}  // namespace hayate::job
