#include "hayate/job/gc.h"

#include <filesystem>
#include <set>

#include "hayate/base/file.h"
#include "hayate/base/json.h"

namespace hayate::job {
namespace {

// Their logs are small and worth having.
constexpr size_t kKeptRunFolders = 100;

struct PastRun {
  bool ended_well = false;
  std::set<std::string> frames;
  std::set<std::string> copies;
};

std::set<std::string> FileNames(const Json& record, const char* member) {
  std::set<std::string> names;
  const auto found = record.find(member);
  if (found == record.end() || !found->is_array()) return names;
  for (const Json& one : *found) {
    // The store may have been moved: names count, not paths.
    if (one.is_string()) {
      names.insert(std::filesystem::path(one.get<std::string>()).filename().string());
    }
  }
  return names;
}

// A record that cannot be read is of a run that died early: it protects nothing.
PastRun ReadRun(const std::string& path) {
  PastRun run;
  const auto text = ReadFile(path);
  if (!text.ok()) return run;
  const auto json = ParseJson(*text, path);
  if (!json.ok() || !json->is_object()) return run;
  run.ended_well = json->value("status", Json()) == "done";
  run.frames = FileNames(*json, "uses");
  run.copies = FileNames(*json, "copies");
  return run;
}

int64_t BytesBelow(const std::string& dir) {
  int64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at(dir, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    const auto size = at->file_size(ignored);
    if (!ignored) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace

Result<Garbage> FindGarbage(const Store& store, int keep_runs) {
  if (keep_runs < 1) {
    return Fail(Fault::kUsage, "--keep-runs has to be at least 1", {}, "Give a number.");
  }
  ARROW_ASSIGN_OR_RAISE(const auto runs, store.Runs());
  std::set<std::string> kept;
  std::vector<std::set<std::string>> counted[2];
  bool newest = true;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    const PastRun past = ReadRun(store.RunDir(*run) + "/run.json");
    if (past.frames.empty()) continue;
    auto& seen = counted[past.ended_well ? 1 : 0];
    bool counts = true;
    for (const auto& frames : seen) counts = counts && frames != past.frames;
    if (newest) kept.insert(past.copies.begin(), past.copies.end());
    newest = newest && past.copies.empty();
    if (!counts) continue;
    if (seen.size() >= static_cast<size_t>(keep_runs)) continue;
    seen.push_back(past.frames);
    kept.insert(past.frames.begin(), past.frames.end());
    // What an unfinished run had split is part of what the next one goes on with.
    if (!past.ended_well) kept.insert(past.copies.begin(), past.copies.end());
  }
  Garbage garbage;
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  for (const StoredFrame& frame : frames) {
    if (kept.contains(std::filesystem::path(frame.dir).filename().string())) continue;
    garbage.dirs.push_back(frame.dir);
    garbage.bytes += BytesBelow(frame.dir);
  }
  for (size_t i = 0; i + kKeptRunFolders < runs.size(); ++i) {
    garbage.runs.push_back(store.RunDir(runs[i]));
  }
  return garbage;
}

Result<Garbage> CollectGarbage(const Store& store, int keep_runs) {
  ARROW_ASSIGN_OR_RAISE(Garbage garbage, FindGarbage(store, keep_runs));
  for (const std::string& dir : garbage.dirs) {
    // Its manifest first: from then on it is no frame.
    const std::string manifest = dir + "/frame.json";
    std::error_code error;
    std::filesystem::remove(manifest, error);
    ARROW_RETURN_NOT_OK(RemoveTree(dir));
  }
  for (const std::string& dir : garbage.runs) ARROW_RETURN_NOT_OK(RemoveTree(dir));
  return garbage;
}

}  // namespace hayate::job
