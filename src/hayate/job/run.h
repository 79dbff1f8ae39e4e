#pragma once

#include <string>

#include "hayate/base/status.h"
#include "hayate/job/plan.h"
#include "hayate/job/run_record.h"
#include "hayate/job/session.h"
#include "hayate/observe/progress.h"

namespace hayate::job {

struct RunOptions {
  SessionOptions session;  ///< its on_log is set by the run
  std::string store;       ///< folder; empty: `.hayate` beside the job file
  PlanOptions plan;
  int slots = 0;  ///< tasks at a time; 0: as many as there are cores
  /// Memory that the run's processes may hold; 0: what the control group or the machine has.
  int64_t memory_bytes = 0;
  bool wait = true;   ///< for another run of the same store; else that is Fault::kBusy
  int keep_runs = 3;  ///< what gc keeps after a success

  Status Validate() const;
};

/// The folder of the store: `store`, or `.hayate` beside the job file.
std::string StoreRoot(const std::string& job, const std::string& store);

/// Plans a job and runs what has to run. `record` is filled in as far as it went, also on an error.
/// Finished parts stay, whatever the end. To be called by the process's first thread.
Status RunJob(const RunOptions& options, observe::Progress* progress, RunRecord* record);

}  // namespace hayate::job
