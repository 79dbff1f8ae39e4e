#include <deque>

#include "hayate/frame/test_data_internal.h"
#include "hayate/job/run_state.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

// Reads as a native worker would, but that its frames have no parts. `before` is told of each task.
class ReadingPool : public TaskPool {
 public:
  explicit ReadingPool(std::function<void(const std::string& kind)> before)
      : before_(std::move(before)) {}

  Status Submit(worker::Start, Json task) override {
    running_.push_back(std::move(task));
    return Status::OK();
  }

  Result<std::vector<worker::Event>> Wait(int) override {
    if (running_.empty()) return std::vector<worker::Event>();
    const Json task = running_.front();
    running_.pop_front();
    const std::string kind = task["kind"];
    before_(kind);
    Json result = Json::object();
    tasks.push_back(task);
    if (kind == "load") {
      result = {{"rows", 1}, {"bytes", 2}, {"state", "as written"}};
    } else if (kind == "query") {
      result = {{"parts", 2}, {"note", "10 bytes billed"}, {"summary", {{"bytes_billed", 10}}}};
    } else if (kind == "ingest" || kind == "commit") {
      frame::Manifest manifest;
      manifest.name = task["commit"]["name"];
      manifest.key = task["commit"]["key"];
      manifest.extra = task["commit"]["extra"];
      manifest.schema = frame::LabelledBatch({1}, 1)->schema();
      std::filesystem::create_directories(task["dir"].get<std::string>());
      ARROW_RETURN_NOT_OK(frame::WriteManifest(task["dir"], manifest));
    } else if (kind == "checksum") {
      for (const Json& object : task["objects"]) {
        ARROW_ASSIGN_OR_RAISE(const auto sum, source::ContentChecksum(object["uri"]));
        result["checksums"].push_back(sum);
      }
    }
    worker::Event event{.kind = worker::Event::Kind::kDone, .task = task["id"]};
    event.body = {{"type", "done"}, {"result", result}};
    return std::vector<worker::Event>{event};
  }

  void Cancel(int64_t) override {}
  worker::TaskUse UseOf(int64_t) override { return {}; }
  void End(int64_t, std::string, std::string) override {}
  bool RetireIdle() override { return false; }

  std::vector<Json> tasks;  ///< that have ended

 private:
  std::function<void(const std::string&)> before_;
  std::deque<Json> running_;
};

class SourceRunTest : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    ASSERT_TRUE(store_.Create().ok());
    description_ = MustParse({{"job", Path("job.py")},
                              {"name", "job"},
                              {"python", "3.11"},
                              {"params", Json::array()},
                              {"preload", Json::array()},
                              {"nodes",
                               {{{"kind", "source"},
                                 {"name", "clicks"},
                                 {"format", "csv"},
                                 {"paths", {"clicks.csv"}},
                                 {"options", Json::object()},
                                 {"line", 1}}}},
                              {"outputs", Json::array()}});
  }

  Plan MakePlan() {
    const auto checksums = [](const std::vector<source::Object>& objects) {
      std::vector<std::string> sums;
      for (const auto& object : objects) {
        sums.push_back(source::ContentChecksum(object.uri).ValueOrDie());
      }
      return Result<std::vector<std::string>>(sums);
    };
    graph_ = std::make_unique<Graph>(Graph::Make(description_).ValueOrDie());
    return Plan::Make(description_, *graph_, store_, {}, {.checksums = checksums}).ValueOrDie();
  }

  // Reads the source; the number of warnings.
  int64_t Run(const std::function<void(const std::string&)>& before) {
    Plan plan = MakePlan();
    ReadingPool pool(before);
    Scheduler scheduler(&pool, {.slots = 1});
    RunRecord record;
    RunState state;
    int64_t warnings = 0;
    state.description = &description_;
    state.graph = graph_.get();
    state.store = &store_;
    state.plan = &plan;
    state.scheduler = &scheduler;
    state.record = &record;
    state.progress.resize(1);
    state.priority = {0};
    state.on_warning = [&](const std::string&) { ++warnings; };
    state.on_finished = [](int64_t) {};
    state.on_committed = [&](int64_t node) { return StartOutputs(&state, node); };
    if (plan.nodes[0].committed()) {
      EXPECT_TRUE(StartOutputs(&state, 0).ok());
    } else {
      EXPECT_TRUE(StartSource(&state, 0).ok());
    }
    const Status status = scheduler.Run();
    EXPECT_TRUE(status.ok()) << status;
    tasks_ = pool.tasks;
    return warnings;
  }

  Store store_{Path(".hayate")};
  Description description_;
  std::unique_ptr<Graph> graph_;
  std::vector<Json> tasks_;
};

TEST_F(SourceRunTest, AFileThatIsOverwrittenAfterItWasReadIsReadAgain) {
  Write("clicks.csv", "a\n1\n");
  const auto overwrite = [&](const std::string& kind) {
    if (kind != "checksum") return;
    Write("clicks.csv", "a\n2\n");
    std::filesystem::last_write_time(
        folder_ / "clicks.csv",
        std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  };
  EXPECT_EQ(Run(overwrite), 1);
  // Of the same size, so that only the content tells.
  EXPECT_EQ(MakePlan().CountToRun(), 1);
}

TEST_F(SourceRunTest, AFileThatIsOnlyTouchedLaterIsKnownAgain) {
  Write("clicks.csv", "a\n1\n");
  EXPECT_EQ(Run([](const std::string&) {}), 0);
  std::filesystem::last_write_time(folder_ / "clicks.csv",
                                   std::filesystem::file_time_type::clock::now());
  EXPECT_EQ(MakePlan().CountToRun(), 0);
}

TEST_F(SourceRunTest, AQueryIsRunAndWhatItLeftIsCommitted) {
  Json node = {{"kind", "source"},
               {"name", "clicks"},
               {"format", "bigquery"},
               {"query", {{"sql", "SELECT 1"}}},
               {"key", {{"sql", "SELECT 1"}}},
               {"min_rows", 3},
               {"line", 1}};
  description_.nodes =
      MustParse({{"job", Path("job.py")}, {"name", "job"}, {"python", "3.11"}, {"nodes", {node}}})
          .nodes;
  const std::string dir = MakePlan().nodes[0].dirs[0];
  std::filesystem::create_directories(dir);
  Write(std::filesystem::relative(dir + "/part-00007.arrow", folder_), "of an attempt before");
  EXPECT_EQ(Run([](const std::string&) {}), 0);
  ASSERT_EQ(tasks_.size(), 2u);
  EXPECT_EQ(tasks_[0]["kind"], "query");
  EXPECT_EQ(tasks_[0]["query"]["sql"], "SELECT 1");
  EXPECT_EQ(tasks_[0]["dir"], dir);
  EXPECT_EQ(tasks_[1]["kind"], "commit");
  EXPECT_EQ(tasks_[1]["commit"]["expected_parts"], 2);
  EXPECT_EQ(tasks_[1]["commit"]["min_rows"], 3);
  EXPECT_EQ(tasks_[1]["commit"]["extra"]["query"]["bytes_billed"], 10);
  EXPECT_FALSE(std::filesystem::exists(dir + "/part-00007.arrow"));
  EXPECT_EQ(MakePlan().CountToRun(), 0);
}

TEST_F(SourceRunTest, ATableIsLoadedAgainOnlyIfItIsNotWhatWasWritten) {
  struct Case {
    const char* write;
    const char* state;  // of the table when the second run begins
    int loads;
  };
  for (const Case& one : {Case{"truncate", "as written", 1}, Case{"truncate", "of another", 2},
                          Case{"truncate", "", 2}, Case{"append", "of another", 1}}) {
    std::filesystem::remove_all(store_.OutputNote("bigquery://p.d.t"));
    int loads = 0;
    for (const bool again : {false, true}) {
      Write("clicks.csv", "a\n1\n");
      Json output = {{"node", "clicks"},
                     {"output", 0},
                     {"path", "bigquery://p.d.t"},
                     {"load", {{"write", one.write}}},
                     {"line", 2}};
      if (again && *one.state != '\0') output["state"] = one.state;
      description_.outputs =
          MustParse(
              {{"job", Path("job.py")}, {"name", "job"}, {"python", "3.11"}, {"outputs", {output}}})
              .outputs;
      Run([](const std::string&) {});
      for (const Json& task : tasks_) {
        if (task["kind"] != "load") continue;
        ++loads;
        EXPECT_EQ(task["load"]["write"], one.write);
      }
    }
    EXPECT_EQ(loads, one.loads) << one.write << ", " << one.state;
  }
}

}  // namespace
}  // namespace hayate::job
