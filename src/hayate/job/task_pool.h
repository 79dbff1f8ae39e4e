#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

/// What the scheduler needs of worker::WorkerPool; tests put their own in its place.
class TaskPool {
 public:
  virtual ~TaskPool() = default;
  virtual Status Submit(worker::Start start, Json task) = 0;
  virtual Result<std::vector<worker::Event>> Wait(int timeout_ms) = 0;
  virtual void Cancel(int64_t task) = 0;
  virtual worker::TaskUse UseOf(int64_t task) = 0;
  virtual void End(int64_t task, std::string reason, std::string remedy) = 0;
  virtual bool RetireIdle() = 0;
};

/// The real one; `pool` has to outlive it.
std::unique_ptr<TaskPool> MakeTaskPool(worker::WorkerPool* pool);

}  // namespace hayate::job
