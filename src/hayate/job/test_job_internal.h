#pragma once

#include <arrow/result.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "hayate/base/json.h"
#include "hayate/frame/manifest.h"
#include "hayate/job/description.h"
#include "hayate/job/store.h"

namespace hayate::job {

/// A folder of its own for each test, there before the members of what derives from this.
class InFolder : public testing::Test {
 protected:
  InFolder() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("hayate-job-") + info->test_suite_name() + "-" + info->name() + "-" +
               std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~InFolder() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return Path(name);
  }

  std::filesystem::path folder_;
};

/// Stands for a frame: a manifest that says so, and no parts.
inline void PutFrame(const Store& store, const std::string& name, const std::string& key,
                     const Json& key_parts = Json::object(), const Json& extra = Json::object()) {
  frame::Manifest manifest;
  manifest.name = name;
  manifest.key = key;
  manifest.key_parts = key_parts;
  manifest.extra = extra;
  const std::string dir = store.FrameDir(name, key);
  std::filesystem::create_directories(dir);
  ASSERT_TRUE(frame::WriteManifest(dir, manifest).ok());
}

/// clicks → features → model, (features, model) → scores; `job` is where the job file would be.
inline Json ExampleJob(const std::string& job) {
  const auto input = [](const char* param) {
    return Json{{"param", param}, {"node", param}, {"output", 0}, {"as", nullptr}};
  };
  const Json day = {{"param", "day"}, {"value", {{"type", "date"}, {"value", "2026-11-24"}}}};
  return {{"job", job},
          {"name", "job"},
          {"python", "3.11"},
          {"params", {{{"name", "day"}, {"type", "date"}, {"value", "2026-11-24"}}}},
          {"preload", {"pandas"}},
          {"nodes",
           {{{"kind", "source"},
             {"name", "clicks"},
             {"format", "csv"},
             {"paths", {"clicks-*.csv"}},
             {"options", Json::object()},
             {"line", 8}},
            {{"kind", "stage"},
             {"name", "features"},
             {"mode", "partition"},
             {"by", {"user_id"}},
             {"split", {"clicks"}},
             {"inputs", {input("clicks"), day}},
             {"outputs", {"features"}},
             {"code", {{"features()", std::string(32, 'a')}, {"pandas", "3.1.1"}}},
             {"line", 12}},
            {{"kind", "stage"},
             {"name", "model"},
             {"mode", "once"},
             {"inputs", {input("features")}},
             {"outputs", {"model"}},
             {"code", {{"model()", std::string(32, 'b')}}},
             {"line", 16}},
            {{"kind", "stage"},
             {"name", "scores"},
             {"mode", "rows"},
             {"rows", 1000},
             {"split", {"features"}},
             {"inputs", {input("features"), input("model")}},
             {"outputs", {"scores"}},
             {"code", {{"scores()", std::string(32, 'c')}}},
             {"line", 20}}}},
          {"outputs", {{{"node", "scores"}, {"output", 0}, {"path", "/out/s.parquet"}}}}};
}

inline Description MustParse(const Json& json) { return DescriptionFromJson(json).ValueOrDie(); }

}  // namespace hayate::job
