#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/memory.h"
#include "hayate/base/status.h"
#include "hayate/job/task_pool.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

/// One message to a worker, with what the scheduler has to know of it.
struct Task {
  worker::Start start = worker::Start::kNative;
  /// The protocol's message. `id` and `threads` are filled in when it starts.
  Json message;
  /// Instead of `message`, where many tasks wait: makes it when the task starts.
  std::function<Json()> make_message;
  std::string node;  ///< source or stage that it works for
  std::optional<int64_t> partition;
  /// Cores it takes: at least min (more than there are counts as all), at most max if they are
  /// free.
  int min_slots = 1;
  int max_slots = 1;
  /// Threads that it is told to use; 0: as many as it got cores.
  int threads = 0;
  /// Ends within about a second: one that could use its cores waits for it instead of doing with
  /// fewer to its end.
  bool brief = false;
  /// Least first; the same: in the order of Add.
  int64_t priority = 0;
  /// It waits for the disk and not for a core: it takes none, whatever the members above say, and
  /// nothing waits for it but the end of the run. One at a time, in the order of Add.
  bool background = false;
  /// Longest it may take; 0: no bound, but see SchedulerOptions::idle_limit_ms.
  int64_t timeout_ms = 0;
  std::string timeout_remedy;
  /// Called with the `done` message. May add tasks. An error ends the run.
  std::function<Status(const Json& done)> on_done;
  std::function<void(const Json& progress)> on_progress;
};

/// Priority of what nobody waits for before the end of the run: behind all of a pipeline.
inline constexpr int64_t kLastPriority = int64_t{1} << 40;

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
  /// Between two looks at memory and at tasks that hang.
  int watch_ms = 100;
  /// A task without a timeout whose processes use no CPU and say nothing for so long is ended, as
  /// if its worker had died.
  int64_t idle_limit_ms = int64_t{30} * 60 * 1000;
  /// Memory that the run may use, asked at each look; empty: it is not guarded.
  std::function<MemoryReading()> memory;
  // Any of these may be empty.
  std::function<void()> on_tick;
  std::function<void(const std::string& node)> on_start;  ///< a task of that node starts
  std::function<void(const TaskRecord&)> on_task;         ///< a task ended well
  std::function<void(const std::string&)> on_warning;
  std::function<void(const std::string&)> on_log;  ///< for the run's log only
  std::function<void()> on_all_started;            ///< no task waits; called again and again
  /// Called after every wait; an error ends the run at once, as a signal does.
  std::function<Status()> check;
};

/// Runs tasks on a pool, as many at a time as there are slots. Knows nothing of jobs. One thread.
///
/// The first task that fails ends the run: no further task starts, those that run may finish (their
/// parts are kept), then Run returns that first error. A task whose worker dies is started once
/// more; if its worker dies again that is the error.
///
/// Above a share of the memory no task starts while another runs; above a higher one the task that
/// holds most is ended and starts again alone, so that the kernel does not end the whole container.
/// From then on fewer tasks of its node run at a time. One that is too large even alone is an
/// error.
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
  // With its place among those that wait, which it has again if it starts once more.
  struct Entry {
    Task task;
    std::pair<int64_t, int64_t> place;  // priority, then order of Add
    int attempts = 1;
    bool alone = false;  // it starts when nothing else runs, and nothing starts beside it
  };
  enum class Ended { kNo, kForTime, kForMemory };
  struct Running {
    Entry entry;
    std::string kind;
    int slots = 0;
    double start_s = 0;
    double heard_s = 0;  // when it last used CPU or said something
    double heard_cpu_s = 0;
    Ended ended = Ended::kNo;
    double ended_s = 0;
    Status too_large;  // if it was ended for memory though it ran alone
  };

  // scheduler.cc
  Status Admit();
  bool MayStart(const Entry& entry, int* slots) const;
  bool IsDone() const { return ready_.empty() && background_.empty() && running_.empty(); }
  void AddEntry(Entry entry);
  Status Start(Entry entry, int slots);
  Status OnEvent(worker::Event event);
  Status OnDone(const Running& running, const Json& body);
  Status OnDied(Running running, const worker::Event& event);
  void FewerAtOnce(const std::string& node);
  int64_t CountRunning(const std::string& node) const;
  int64_t CountForeground() const;
  void Warn(const std::string& text) const;
  void Log(const std::string& text) const;

  // scheduler_watch.cc
  /// Looks, when it is time to, at memory and at tasks that take too long.
  Status Watch();
  void WatchMemory();
  void EndLargest(const MemoryReading& reading);
  Status WatchTimes();
  void WatchIdle(int64_t id, Running* running);
  void End(int64_t id, Running* running, Ended why, std::string reason, std::string remedy);

  TaskPool* pool_;
  SchedulerOptions options_;
  std::map<std::pair<int64_t, int64_t>, Entry> ready_;  // by place
  std::map<std::pair<int64_t, int64_t>, Entry> background_;
  std::map<int64_t, Running> running_;           // by id
  std::map<std::string, int64_t> most_at_once_;  // node → tasks, once memory was short
  int free_slots_ = 0;
  int64_t next_order_ = 0;
  int64_t next_id_ = 1;
  bool is_ending_ = false;  // after the first error
  bool memory_is_short_ = false;
  bool warned_of_memory_ = false;
  double next_watch_s_ = 0;
  double next_idle_look_s_ = 0;
};

/// "features, partition 3".
std::string NameOf(const Task& task);

}  // namespace hayate::job
