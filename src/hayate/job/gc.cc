#include "hayate/job/gc.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "hayate/base/file.h"
#include "hayate/base/json.h"

namespace hayate::job {
namespace {

// Their logs are small and worth having.
constexpr size_t kKeptRunFolders = 100;

struct PastRun {
  std::string job;
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
  run.job = ToCanonicalText(json->value("job", Json()));
  run.ended_well = json->value("status", Json()) == "done";
  run.frames = FileNames(*json, "uses");
  run.copies = FileNames(*json, "copies");
  return run;
}

// What the runs of one job need, from the newest on.
class JobRuns {
 public:
  explicit JobRuns(size_t keep_runs) : keep_runs_(keep_runs) {}

  // Adds to `kept` what `past` needs; whether it counts.
  bool Add(const PastRun& past, std::set<std::string>* kept) {
    if (past.frames.empty()) return false;
    if (newest_copies_) kept->insert(past.copies.begin(), past.copies.end());
    newest_copies_ = newest_copies_ && past.copies.empty();
    auto& seen = seen_[past.ended_well ? 1 : 0];
    if (std::find(seen.begin(), seen.end(), past.frames) != seen.end()) return false;
    if (seen.size() >= keep_runs_) return false;
    seen.push_back(past.frames);
    kept->insert(past.frames.begin(), past.frames.end());
    // What an unfinished run had split is part of what the next one goes on with.
    if (!past.ended_well) kept->insert(past.copies.begin(), past.copies.end());
    return true;
  }

 private:
  size_t keep_runs_;
  bool newest_copies_ = true;
  std::vector<std::set<std::string>> seen_[2];
};

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
  Garbage garbage;
  std::set<std::string> kept;
  std::map<std::string, JobRuns> jobs;
  size_t folders = 0;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    const PastRun past = ReadRun(store.RunDir(*run) + "/run.json");
    JobRuns& job = jobs.try_emplace(past.job, static_cast<size_t>(keep_runs)).first->second;
    const bool counts = job.Add(past, &kept);
    // Without its record a run would not count the next time.
    if (++folders > kKeptRunFolders && !counts) garbage.runs.push_back(store.RunDir(*run));
  }
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  for (const StoredFrame& frame : frames) {
    if (kept.contains(std::filesystem::path(frame.dir).filename().string())) continue;
    garbage.dirs.push_back(frame.dir);
    garbage.bytes += BytesBelow(frame.dir);
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
