#pragma once

#include <map>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/job/scheduler.h"

namespace hayate::job {

/// What became of one node in a run, summed over its tasks.
struct NodeRecord {
  std::string name;
  std::string kind;   ///< "source", "stage"
  std::string state;  ///< "run", "kept", "unused"
  std::string reason;
  int64_t tasks = 0;
  int64_t tasks_kept = 0;  ///< finished by an earlier run
  double start_s = -1;     ///< of the first task, since the run's start; −1: none ran
  double end_s = -1;
  double cpu_s = 0;
  double user_cpu_s = 0;   ///< inside the user's function
  double user_wall_s = 0;  ///< summed over the tasks
  int64_t max_rss_bytes = 0;
  int64_t rows = -1;  ///< of its result where that is a table
  int64_t bytes = -1;
  std::string note;  ///< what a service did for it and billed; empty where none did anything

  double wall_s() const { return start_s < 0 ? 0 : end_s - start_s; }
};

/// A file that a run wrote, or left as it was.
struct OutputRecord {
  std::string path;
  std::string node;
  int64_t rows = -1;
  int64_t bytes = -1;
  bool written = false;
};

/// The record of one run: `run.json` (docs/formats/job.md).
struct RunRecord {
  std::string id;
  std::string job;
  std::string store;
  std::string status = "running";
  std::string started;  ///< 2026-11-24T00:00:00Z
  std::string ended;
  double wall_s = 0;
  int slots = 1;
  Json set = Json::object();
  Json error;
  int signal = 0;                 ///< that interrupted it
  std::vector<NodeRecord> nodes;  ///< in the order of the graph
  std::vector<TaskRecord> tasks;
  std::vector<OutputRecord> outputs;
  std::vector<std::string> warnings;
  std::map<std::string, std::string> frames;  ///< name → directory, complete ones
  /// Directories that the run uses or makes, complete or not: what gc leaves alone.
  std::vector<std::string> uses;
  std::vector<std::string> copies;  ///< split copies among them

  /// Adds a task that ended to the list and to its node's sums.
  void Add(const TaskRecord& task);
  NodeRecord* Find(const std::string& node);
  Json ToJson() const;
};

/// Now, as 2026-11-24T00:00:00Z.
std::string UtcNow();
/// A new run's identifier, which sorts behind `last`, that of the newest run (empty: there is
/// none): the time and a number, 20261124T000000-0000, and not before `last` where the clock went
/// back.
std::string NewRunId(const std::string& last);

}  // namespace hayate::job
