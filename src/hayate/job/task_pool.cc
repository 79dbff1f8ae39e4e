#include "hayate/job/task_pool.h"

namespace hayate::job {
namespace {

class WorkerTaskPool : public TaskPool {
 public:
  explicit WorkerTaskPool(worker::WorkerPool* pool) : pool_(pool) {}
  Status Submit(worker::Start start, Json task) override {
    return pool_->Submit(start, std::move(task));
  }
  Result<std::vector<worker::Event>> Wait(int timeout_ms) override {
    return pool_->Wait(timeout_ms);
  }
  void Cancel(int64_t task) override { pool_->Cancel(task); }
  worker::TaskUse UseOf(int64_t task) override { return pool_->UseOf(task); }
  void End(int64_t task, std::string reason, std::string remedy) override {
    pool_->End(task, std::move(reason), std::move(remedy));
  }
  bool RetireIdle() override { return pool_->RetireIdle(); }

 private:
  worker::WorkerPool* pool_;
};

}  // namespace

std::unique_ptr<TaskPool> MakeTaskPool(worker::WorkerPool* pool) {
  return std::make_unique<WorkerTaskPool>(pool);
}

}  // namespace hayate::job
