#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/job/task_pool.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

/// One message to a worker, with what the scheduler has to know of it.
struct Task {
  worker::Start start = worker::Start::kNative;
  /// The protocol's message. `id` and `threads` are filled in when it starts.
  Json message;
  std::string node;  ///< source or stage that it works for
  std::optional<int64_t> partition;
  /// Cores it takes: at least min (more than there are counts as all), at most max if they are
  /// free.
  int min_slots = 1;
  int max_slots = 1;
  /// Least first; the same: in the order of Add.
  int64_t priority = 0;
  /// It waits for the disk and not for a core: it takes none, whatever the members above say, and
  /// nothing waits for it but the end of the run. One at a time, in the order of Add.
  bool background = false;
  /// Called with the `done` message. May add tasks. An error ends the run.
  std::function<Status(const Json& done)> on_done;
  std::function<void(const Json& progress)> on_progress;
};

/// A task that ended well, for the records.
struct TaskRecord {
  std::string node;
  std::string kind;
  std::optional<int64_t> partition;
  double start_s = 0;  ///< since SchedulerOptions::begin
  double end_s = 0;
  int threads = 1;
  Json usage = Json::object();
};

struct SchedulerOptions {
  int slots = 1;
  /// What the times of the records count from.
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  /// A lost worker's task is given to another one this often.
  int retries = 1;
  /// Between two calls of on_tick.
  int tick_ms = 250;
  // Any of these may be empty.
  std::function<void()> on_tick;
  std::function<void(const std::string& node)> on_start;  ///< a task of that node starts
  std::function<void(const TaskRecord&)> on_task;         ///< a task ended well
  std::function<void(const std::string&)> on_warning;
  /// Called after every wait; an error ends the run at once, as a signal does.
  std::function<Status()> check;
};

/// Runs tasks on a pool, as many at a time as there are slots. Knows nothing of jobs. One thread.
///
/// The first task that fails ends the run: no further task starts, those that run may finish (their
/// parts are kept), then Run returns that first error. A task whose worker dies is started once
/// more; if its worker dies again that is the error.
class Scheduler {
 public:
  Scheduler(TaskPool* pool, SchedulerOptions options);

  void Add(Task task);
  /// Until nothing is left to do. Fault::kInterrupted (a signal): at once; what runs is left to the
  /// pool's owner to end.
  Status Run();
  /// Kills the workers of the tasks that run.
  void Cancel();

  int slots() const { return options_.slots; }
  int running() const { return static_cast<int>(running_.size()); }
  int busy_slots() const { return options_.slots - free_slots_; }
  double Now() const;

 private:
  struct Running {
    Task task;
    int slots = 0;
    double start_s = 0;
    int attempts = 1;
  };

  Status Admit();
  bool IsDone() const { return ready_.empty() && background_.empty() && running_.empty(); }
  Status Start(Task task, int slots, int attempts);
  Status OnEvent(worker::Event event);
  Status OnDone(const Running& running, const Json& body);
  void Warn(const std::string& text) const;

  TaskPool* pool_;
  SchedulerOptions options_;
  std::map<std::pair<int64_t, int64_t>, Task> ready_;  // by priority, then order of Add
  std::deque<Task> background_;
  std::map<int64_t, Running> running_;  // by id
  int free_slots_ = 0;
  int64_t next_order_ = 0;
  int64_t next_id_ = 1;
};

}  // namespace hayate::job
