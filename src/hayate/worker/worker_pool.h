#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/process_tree.h"
#include "hayate/base/status.h"

namespace hayate::worker {

/// How the child that runs a task is started.
enum class Start {
  kNative,  ///< the hayate binary again; reused by any native task
  kFork,    ///< a Python worker forked from the zygote, on one core; reused by any such task
  kExec,    ///< a fresh Python interpreter with the task's own thread variables; reused by tasks of
            ///< the same stage with as many threads, where the task has a partition
  kPlanner,  ///< `python -m hayate.planner`; for this task only
};

/// One line that a child wrote to its standard output or error, or that the pool says about one.
struct LogLine {
  std::string_view text;  ///< without its newline; at most 16 KiB (longer lines come in pieces)
  std::string stage;      ///< empty when the child had no task
  std::optional<int64_t> partition;
  int64_t pid = 0;  ///< 0: the pool itself says it
};

struct PoolOptions {
  std::string python = "python3";       ///< interpreter that can import hayate
  std::string self = "/proc/self/exe";  ///< the hayate binary, run as `self worker --native`
  std::vector<std::string> preload;     ///< third-party modules that the zygote imports
  /// On top of this process's own environment, for every child.
  std::map<std::string, std::string> environment;
  std::string working_directory;  ///< of every child; empty: ours
  /// A child that has not said hello by then is killed. Imports on a cold disk take long.
  int hello_timeout_ms = 120'000;
  /// A child that was told to leave, or that closed its socket, is killed after this.
  int exit_timeout_ms = 5'000;
  /// Called inside Submit, Wait and Shutdown; must not call the pool. May be empty: lines then go
  /// to our standard error.
  std::function<void(const LogLine&)> on_log;

  Status Validate() const;
};

/// What a task's child, with all that it has started, uses now.
struct TaskUse {
  ProcessUse use;
  std::chrono::steady_clock::time_point last_word;  ///< when it last said or printed something
};

/// What happened to a task. kProgress any number of times, then exactly one of the others.
struct Event {
  enum class Kind { kProgress, kDone, kFailed, kDied };
  Kind kind = Kind::kProgress;
  int64_t task = 0;
  /// The child's whole message (kProgress, kDone, kFailed). kDied: {"pid", "signal" or "exit_code",
  /// "max_rss_bytes", "cpu_s", "out_of_memory"}.
  Json body;
  /// kFailed: the child's error, with the traceback (see TracebackOf). kDied: Fault::kWorkerDied
  /// naming signal or exit code, peak memory, stage and partition.
  Status status;
};

/// The supervisor's children: starts, talks to, watches and kills them. It keeps no queue: what is
/// submitted is started at once, so the caller decides how many tasks run (job/run: cores).
///
/// One thread, which has to be the process's first and to outlive the pool (children die with the
/// thread that started them). Blocks SIGINT, SIGTERM and SIGHUP while it lives: they come out of
/// Wait. When the process dies, however it dies, its children are killed. What the children's
/// children leave behind is adopted (PR_SET_CHILD_SUBREAPER), reaped, and killed in the end: while
/// the pool lives the process must start no other children. Those that it had before are spared.
class WorkerPool {
 public:
  static Result<std::unique_ptr<WorkerPool>> Make(PoolOptions options);
  ~WorkerPool();  ///< kills what is left, at once

  /// Hands `task` (docs/formats/protocol.md: `id`, `kind`, for the messages `stage` and
  /// `partition`, for kExec `threads`) to an idle child of that kind, or starts one. Ids of tasks
  /// in flight are unique. An error means that the task was not taken (no process, no memory, no
  /// interpreter).
  Status Submit(Start start, Json task);

  /// Blocks until at least one event, or for `timeout_ms` (−1: until an event; with no task in
  /// flight it returns at once). After SIGINT, SIGTERM or SIGHUP: Fault::kInterrupted, once for
  /// each signal; events that were ready come first. Never fails for what a child does.
  Result<std::vector<Event>> Wait(int timeout_ms);

  /// Starts the interpreter of a coming kExec task (`stage`, `threads`), which imports `modules`
  /// and the job file `job` with the parameters `set` while it waits. Submit then takes it.
  Status Prepare(const Json& task);

  /// Of the child that runs `task`; zeros while it has none.
  TaskUse UseOf(int64_t task) const;

  /// Kills the child that runs `task`, as if it had died: kDied follows, which says `reason` ("used
  /// no CPU for 30 min") and what to do.
  void End(int64_t task, std::string reason, std::string remedy);

  /// Lets all idle children but the zygote leave, for their memory. Returns whether there were any.
  bool RetireIdle();

  /// Kills the child that runs `task`. No event follows. A task that is not in flight is no error.
  void Cancel(int64_t task);

  /// Modules for the zygote; takes effect when it is started, and restarts a running one.
  void set_preload(std::vector<std::string> modules);

  /// Starts the zygote now, so that the first kFork task does not wait for its imports.
  Status WarmUp();

  /// The last signal that Wait reported, or is about to; 0: none.
  int last_signal() const;

  /// Another descriptor that Wait watches (−1: none): it returns, maybe without an event, as soon
  /// as `fd` is readable or closed by its other side. Not owned.
  void set_wake_fd(int fd);

  /// Tasks in flight.
  int busy() const;
  /// Children that are alive, for the sampler.
  std::vector<int64_t> pids() const;

  /// Asks all children to leave (SIGTERM to those with a task), waits at most `grace_ms`, then
  /// kills. A second signal ends the waiting. Tasks in flight give no event. The pool can be used
  /// again.
  Status Shutdown(int grace_ms);

 private:
  class Impl;
  explicit WorkerPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hayate::worker
