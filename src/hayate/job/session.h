#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/scheduler.h"
#include "hayate/job/source_files.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

/// A job file and what it takes to ask about it.
struct SessionOptions {
  std::string job;                         ///< absolute path
  std::map<std::string, std::string> set;  ///< parameter → text
  std::string python = "python3";
  /// Longest that the import of the job file may take.
  int64_t describe_timeout_ms = int64_t{10} * 60 * 1000;
  std::function<void(const worker::LogLine&)> on_log;  ///< empty: standard error
};

/// Absolute path of a job file that is there; Fault::kUsage where it is not.
Result<std::string> FindJob(const std::string& path);

/// The children that plan and run one job. To be made by the process's first thread.
class Session {
 public:
  static Result<std::unique_ptr<Session>> Make(SessionOptions options);

  /// Asks the planner. What is wrong with the job comes back as the planner says it.
  Result<Description> Describe();
  /// By a native worker.
  Result<std::vector<std::string>> ComputeChecksums(const std::vector<source::Object>& objects);

  /// By a native worker: compares all of a frame with its checksums.
  Status VerifyFrame(const std::string& dir);
  /// By a native worker: frame::MakeDurable.
  Status SyncFrame(const std::string& dir);

  worker::WorkerPool* pool() { return pool_.get(); }

 private:
  explicit Session(SessionOptions options) : options_(std::move(options)) {}
  /// The result of one task that runs alone.
  Result<Json> RunAlone(Task task);

  SessionOptions options_;
  std::unique_ptr<worker::WorkerPool> pool_;
};

}  // namespace hayate::job
