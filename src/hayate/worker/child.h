#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "hayate/base/file.h"
#include "hayate/base/json.h"
#include "hayate/base/process.h"
#include "hayate/base/status.h"
#include "hayate/worker/channel.h"
#include "hayate/worker/line_splitter.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::worker {

using Clock = std::chrono::steady_clock;

/// A task in a child's hands.
struct Assignment {
  int64_t id = 0;
  std::string stage;
  std::optional<int64_t> partition;
  int threads = 1;
  Json message;
};

/// Reads what the pool has to know of a task, and completes the message. Fault::kInternal if `id`
/// or `kind` is missing.
Result<Assignment> ParseAssignment(Json task);

/// A child process as the pool sees it. Private to the pool.
struct Child {
  enum class Role { kNative, kForked, kExec, kPlanner, kZygote };
  enum class State {
    kWanted,    ///< to be forked as soon as the zygote is ready; there is no process
    kStarting,  ///< there is a process (its pid may not be known yet); no hello so far
    kIdle,
    kBusy,
    kLeaving,  ///< was told to leave
    kGone,     ///< reaped; to be forgotten
  };

  Role role = Role::kNative;
  State state = State::kWanted;
  pid_t pid = -1;  ///< −1: not known yet
  FileDescriptor pidfd;
  Channel channel{FileDescriptor()};
  bool socket_open = false;
  FileDescriptor log;  ///< read end, non-blocking
  LineSplitter lines;
  std::deque<std::string> last_lines;  ///< of this task or since the start
  std::optional<Assignment> task;
  std::string stage;                 ///< of the last task, for lines that come after it
  std::optional<int64_t> partition;  ///< likewise
  int64_t fork_id = 0;               ///< of the request to the zygote
  std::optional<Clock::time_point> deadline;
  std::string deadline_reason;                 ///< what it failed to do by then
  std::string kill_reason;                     ///< why we killed it; empty if we did not
  std::string kill_remedy;                     ///< what to do about it, where that is known
  int threads = 1;                             ///< what its libraries were told
  Json preparation;                            ///< the message that is sent after hello; null: none
  Clock::time_point last_word = Clock::now();  ///< when it last said or printed something

  /// Whether it leaves after its task. What ran a whole-frame stage holds much memory, and nothing
  /// else will need what it has loaded.
  bool serves_one_task() const {
    return role == Role::kPlanner || (role == Role::kExec && !partition);
  }
  /// Started for a task that has not come yet.
  bool is_prepared() const { return !preparation.is_null() && !task; }
  bool is_python() const { return role != Role::kNative; }
  /// "a Python worker", for messages.
  std::string Name() const;
  void SetDeadline(int milliseconds, std::string reason);
  /// Gives it a task; the message is sent separately.
  void Assign(Assignment assignment);
};

/// Our end and the child's end of a socket and a log pipe.
struct ChildPipes {
  Channel ours{FileDescriptor()};
  Channel theirs{FileDescriptor()};
  FileDescriptor log_read;
  FileDescriptor log_write;
};
Result<ChildPipes> MakeChildPipes();

/// Starts a child of any role but kForked with `threads` threads; it will say hello.
Result<std::unique_ptr<Child>> StartChild(Child::Role role, int threads,
                                          const PoolOptions& options);

/// A forked worker's substitute where the zygote cannot be used: a fresh interpreter that keeps to
/// one core and serves many tasks.
Status StartInsteadOfFork(Child* child, const PoolOptions& options);

/// The event for a child that ended (`report`) while it had a task.
Event DiedEvent(const Child& child, const ExitReport& report, bool out_of_memory);

}  // namespace hayate::worker
