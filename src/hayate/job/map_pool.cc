#include "hayate/job/map_pool.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>

#include "hayate/base/limits.h"
#include "hayate/base/memory.h"
#include "hayate/job/map_run.h"
#include "hayate/job/task_pool.h"
#include "hayate/worker/channel.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {
namespace {

using Clock = std::chrono::steady_clock;

// Wait without a task needs an end; what wakes it is the channel.
constexpr int kIdleWaitMs = 60 * 60 * 1000;
constexpr auto kBetweenProgress = std::chrono::milliseconds(250);
constexpr int kShutdownGraceMs = 2'000;

class MapPool {
 public:
  MapPool(worker::Channel channel, std::unique_ptr<worker::WorkerPool> pool)
      : channel_(std::move(channel)), pool_(std::move(pool)), tasks_(MakeTaskPool(pool_.get())) {}

  Status Serve() {
    ARROW_RETURN_NOT_OK(
        channel_.Send({{"type", "hello"}, {"role", "pool"}, {"pid", getpid()}, {"threads", 1}}));
    pool_->set_wake_fd(channel_.fd());
    while (!closed_) {
      if (waiting_.empty()) {
        ARROW_RETURN_NOT_OK(pool_->Wait(kIdleWaitMs).status());
        ARROW_RETURN_NOT_OK(Listen());
        cancelled_ = false;  // it was for a task that had ended by then
        continue;
      }
      const Json task = std::move(waiting_.front());
      waiting_.pop_front();
      ARROW_RETURN_NOT_OK(Answer(task));
    }
    return pool_->Shutdown(kShutdownGraceMs);
  }

 private:
  Status Listen() {
    ARROW_ASSIGN_OR_RAISE(auto messages, channel_.ReceiveAvailable(&closed_));
    for (Json& message : messages) {
      const std::string type = message.value("type", "");
      if (type == "exit") {
        closed_ = true;
      } else if (type == "cancel") {
        cancelled_ = true;
      } else if (type == "task" && message.value("kind", "") == "map") {
        waiting_.push_back(std::move(message));
      } else {
        return Fail(Fault::kInternal, "the pool knows no message \"" + type + "\"");
      }
    }
    return Status::OK();
  }

  // While a map runs.
  Status Check() {
    ARROW_RETURN_NOT_OK(Listen());
    if (closed_) return Fail(Fault::kInterrupted, "the script has ended");
    if (!cancelled_) return Status::OK();
    cancelled_ = false;
    return Fail(Fault::kInterrupted, "the call was interrupted");
  }

  Result<Json> Map(const Json& task, const Json& id) {
    ARROW_ASSIGN_OR_RAISE(const MapRequest request, MapRequestFromJson(task));
    if (request.fork && !warm_) {
      pool_->set_preload(request.preload);
      ARROW_RETURN_NOT_OK(pool_->WarmUp());
      warm_ = true;
    }
    SchedulerOptions options;
    options.slots = request.cores > 0 ? request.cores : AvailableCores();
    options.memory = [] { return ReadMemory(); };
    options.check = [this] { return Check(); };
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    Scheduler scheduler(tasks_.get(), std::move(options));
    Clock::time_point next{};
    auto result = RunMap(request, &scheduler, [&](int64_t done, int64_t total) {
      if (Clock::now() < next && done < total) return;
      next = Clock::now() + kBetweenProgress;
      // A script that is gone shows at the next check.
      (void)channel_.Send({{"type", "progress"}, {"task", id}, {"done", done}, {"total", total}});
    });
    if (!result.ok()) scheduler.Cancel();
    return result;
  }

  Status Answer(const Json& task) {
    const Json id = task.value("id", Json());
    warnings_.clear();
    const auto result = Map(task, id);
    if (closed_) return Status::OK();
    if (!result.ok()) {
      return channel_.Send({{"type", "failed"},
                            {"task", id},
                            {"error", worker::ErrorToJson(result.status())},
                            {"usage", Json::object()}});
    }
    return channel_.Send({{"type", "done"},
                          {"task", id},
                          {"result", *result},
                          {"warnings", warnings_},
                          {"usage", Json::object()}});
  }

  worker::Channel channel_;
  std::unique_ptr<worker::WorkerPool> pool_;
  std::unique_ptr<TaskPool> tasks_;
  std::deque<Json> waiting_;
  std::vector<std::string> warnings_;
  bool closed_ = false;
  bool cancelled_ = false;
  bool warm_ = false;
};

}  // namespace

Status RunMapPool(const std::string& python) {
  // ^C in a terminal reaches the whole process group; the script decides what it means.
  signal(SIGINT, SIG_IGN);
  ARROW_ASSIGN_OR_RAISE(auto channel, worker::Channel::FromEnvironment());
  worker::PoolOptions options;
  options.python = python;
  ARROW_ASSIGN_OR_RAISE(auto pool, worker::WorkerPool::Make(std::move(options)));
  return MapPool(std::move(channel), std::move(pool)).Serve();
}

}  // namespace hayate::job
