#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"
#include "hayate/job/description.h"
#include "hayate/job/graph.h"
#include "hayate/job/keys.h"
#include "hayate/job/source_files.h"
#include "hayate/job/store.h"

namespace hayate::job {

struct PlanOptions {
  std::vector<std::string> targets;  ///< empty: everything
  std::vector<std::string> from;     ///< these and what depends on them run in any case
  bool fresh = false;                ///< everything that is needed runs
};

/// What becomes of one node.
struct PlannedNode {
  enum class State {
    kRun,     ///< it is computed
    kKept,    ///< its frames are there
    kUnused,  ///< nothing that runs or is asked for needs it
  };
  State state = State::kUnused;
  bool forced = false;  ///< kRun by --fresh or --from
  /// Why what lies in its directories is not its result; empty where nothing does, or it is.
  std::string trouble;
  std::string reason;  ///< one line
  std::string key;
  Json key_parts = Json::object();
  std::vector<FileRecord> files;                          ///< of a source
  int64_t listed_ns = 0;                                  ///< when their listing began
  std::vector<std::string> dirs;                          ///< of each output's frame
  std::vector<std::optional<frame::Manifest>> manifests;  ///< of each output, where committed

  bool committed() const;
  /// Whether what lies in its directories has to go before it runs.
  bool discards() const { return forced || !trouble.empty(); }
};

/// What needs files to be read, which a plan leaves to workers.
struct PlanReads {
  Checksums checksums;
  /// Compares all of a frame with its checksums; Fault::kInput if it is damaged.
  std::function<Status(const std::string& dir)> verify;
};

/// Which nodes have to run, and why: by stat and manifests, as far as they tell. Indices are those
/// of Description::nodes.
struct Plan {
  std::vector<PlannedNode> nodes;
  std::vector<std::string> warnings;

  static Result<Plan> Make(const Description& description, const Graph& graph, const Store& store,
                           const PlanOptions& options, const PlanReads& reads);
  int64_t CountToRun() const;
};

/// How many tasks a stage has over these split inputs (in the order of node.split); empty
/// partitions included. Depends on rows and bytes only.
int64_t CountTasks(const Node& node, const std::vector<const frame::Manifest*>& split);

/// Fault::kUsage for more tasks than a run can keep account of; names a better `rows`.
Status CheckTaskCount(int64_t tasks, int64_t rows_per_task, Where where);

}  // namespace hayate::job
