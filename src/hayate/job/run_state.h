#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/graph.h"
#include "hayate/job/plan.h"
#include "hayate/job/run_record.h"
#include "hayate/job/scheduler.h"
#include "hayate/job/store.h"
#include "hayate/observe/stage_line.h"

namespace hayate::job {

/// Work that several stages need and that is done once: a split copy, a consolidated file.
class SharedWork {
 public:
  using Then = std::function<Status()>;
  /// Calls `start` the first time that `id` is asked for, and `then` once Finish(id) was called.
  Status Ensure(const std::string& id, const std::function<Status()>& start, Then then);
  Status Finish(const std::string& id);

 private:
  struct Entry {
    bool done = false;
    std::vector<Then> waiting;
  };
  std::map<std::string, Entry> entries_;
};

/// What the parts of a run share. Owned by job/run; lives as long as the run.
struct RunState {
  const Description* description = nullptr;
  const Graph* graph = nullptr;
  const Store* store = nullptr;
  Plan* plan = nullptr;
  Scheduler* scheduler = nullptr;
  RunRecord* record = nullptr;
  SharedWork shared;
  std::vector<observe::StageState> progress;  ///< by node
  std::vector<int64_t> priority;              ///< by node: its place in the order of the graph
  std::function<void(const std::string&)> on_warning;
  /// Called at the end of a node, for the display.
  std::function<void(int64_t node)> on_finished;
  /// To be called once all frames of a node are committed and read into its plan's manifests.
  std::function<Status(int64_t node)> on_committed;

  const Node& node(int64_t index) const { return description->nodes[static_cast<size_t>(index)]; }
  PlannedNode& planned(int64_t index) const { return plan->nodes[static_cast<size_t>(index)]; }
};

/// Reads the manifests of a node whose frames have just been committed and says so.
Status TakeCommitted(RunState* state, int64_t node);

/// Adds what brings the committed frames of a node to the disk, where they are not there yet. Their
/// manifests must not be written by anybody else from then on.
void AddSyncs(RunState* state, int64_t node);

/// The `commit` member of a task.
Json CommitMessage(const std::string& name, const std::string& key, const Json& key_parts,
                   int64_t expected_parts);

/// Cores of one task of a stage, on a run with `slots`.
int StageSlots(const Node& node, int slots);

/// Adds what fetches a source into its frame.
Status StartSource(RunState* state, int64_t node);
/// Adds what a stage needs and, once that is there, its tasks.
Status StartStage(RunState* state, int64_t node);
/// Adds what writes the job's files out of the frames of `node`, where they are not there yet.
Status StartOutputs(RunState* state, int64_t node);

}  // namespace hayate::job
