#pragma once

#include <poll.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/worker/child.h"
#include "hayate/worker/signal_watch.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::worker {

/// The pool's state and its reactions. worker_pool.cc: what callers ask for; pool_loop.cc: polling
/// and deadlines; pool_events.cc: messages and deaths; pool_zygote.cc: forking.
class WorkerPool::Impl {
 public:
  explicit Impl(PoolOptions options) : options_(std::move(options)) {}
  ~Impl();

  Status Start();

  // worker_pool.cc
  Status Submit(enum Start start, Json task);
  Result<std::vector<Event>> Wait(int timeout_ms);
  Status Prepare(const Json& task);
  TaskUse UseOf(int64_t task) const;
  void End(int64_t task, std::string reason, std::string remedy);
  bool RetireIdle();
  void Cancel(int64_t task);
  void SetPreload(std::vector<std::string> modules);
  Status Shutdown(int grace_ms);
  void set_wake_fd(int fd) { wake_fd_ = fd; }
  int last_signal() const { return last_signal_; }
  int busy() const;
  std::vector<int64_t> pids() const;

  // pool_zygote.cc
  /// Starts the zygote unless it runs or is known not to work.
  Status EnsureZygote();

 private:
  using Role = Child::Role;
  using State = Child::State;

  // worker_pool.cc
  Child* FindTask(int64_t task) const;
  Child* FindIdle(Role role, const Assignment& assignment);
  Status SubmitToNew(Role role, Assignment assignment);
  void RetireIdlePython();
  void SendTask(Child* child);
  void AskToLeave(Child* child);
  void Kill(Child* child, std::string reason);

  // pool_loop.cc
  /// Polls once, at most until `until`, and reacts to all that is ready.
  Status RunOnce(std::optional<Clock::time_point> until);
  int TimeoutMs(std::optional<Clock::time_point> until) const;
  void CheckDeadlines();
  void ReapOrphans();
  void ForgetGone();
  Status EndAll(Clock::time_point until);
  Status EndOrphans(Clock::time_point until);

  // pool_events.cc
  void ReadLog(Child* child, int64_t most_bytes);
  void ReadSocket(Child* child);
  void OnMessage(Child* child, Json message);
  void OnHello(Child* child, const Json& message);
  void OnTaskEnd(Child* child, const std::string& type, Json message);
  void OnExit(Child* child);
  void Say(const Child* about, std::string_view text) const;

  // pool_zygote.cc
  bool fork_pending() const;
  void OnZygoteReady(const Json& hello);
  void OnForkAnswer(const Json& message, bool ok);
  void OnZygoteExit(const Child& zygote);
  void RequestForks();
  void RequestFork(Child* child);
  void StopForking(const std::string& why);
  void GiveUp(Child* child, const Status& status);
  void SetPid(Child* child, pid_t pid);

  PoolOptions options_;
  std::unique_ptr<SignalWatch> signals_;
  std::vector<std::unique_ptr<Child>> children_;
  Child* zygote_ = nullptr;  ///< among children_; null while there is none in use
  bool forking_ = true;      ///< false once the zygote has proved to be of no use
  int zygote_failures_ = 0;  ///< in a row, without a successful fork
  int64_t next_fork_id_ = 1;
  int wake_fd_ = -1;
  bool woken_ = false;
  int interrupts_ = 0;  ///< arrived, not yet reported
  int last_signal_ = 0;
  int64_t oom_kills_ = 0;
  std::set<pid_t> spared_;  ///< children that the process had before the pool
  std::vector<Event> events_;
};

}  // namespace hayate::worker
