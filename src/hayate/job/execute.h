#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "hayate/base/memory.h"
#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/graph.h"
#include "hayate/job/plan.h"
#include "hayate/job/run_record.h"
#include "hayate/job/store.h"
#include "hayate/observe/progress.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

struct ExecuteOptions {
  int slots = 1;
  /// The run's start, from which the record counts.
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::function<MemoryReading()> memory;  ///< what the guard asks; empty: no guard
  std::function<void(const std::string&)> on_warning;
  std::function<void(const std::string&)> on_log;  ///< for the run's log only
};

/// Runs what `plan` says: each node as soon as what it reads is there, in the order of the graph
/// where cores are short. Fills in the manifests of `plan` and the tasks, frames and outputs of
/// `record`. Starts no worker if there is nothing to do.
Status Execute(const ExecuteOptions& options, const Description& description, const Graph& graph,
               const Store& store, worker::WorkerPool* pool, Plan* plan, RunRecord* record,
               observe::Progress* progress);

}  // namespace hayate::job
