#include "hayate/worker/worker_pool.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "hayate/base/oom.h"
#include "hayate/worker/worker_pool_impl.h"

namespace hayate::worker {
namespace {

// After SIGKILL only the kernel can keep a process; we do not wait for it for ever.
constexpr int kAfterKillMs = 10'000;

Child::Role RoleOf(Start start) {
  switch (start) {
    case Start::kNative:
      return Child::Role::kNative;
    case Start::kFork:
      return Child::Role::kForked;
    case Start::kExec:
      return Child::Role::kExec;
    case Start::kPlanner:
      return Child::Role::kPlanner;
  }
  return Child::Role::kNative;
}

Clock::time_point InMs(int64_t milliseconds) {
  return Clock::now() + std::chrono::milliseconds(milliseconds);
}

}  // namespace

Status PoolOptions::Validate() const {
  if (python.empty() || self.empty()) {
    return Fail(Fault::kInternal, "a worker pool needs an interpreter and the hayate binary");
  }
  if (hello_timeout_ms <= 0 || exit_timeout_ms <= 0) {
    return Fail(Fault::kInternal, "a worker pool's timeouts have to be positive");
  }
  return Status::OK();
}

WorkerPool::Impl::~Impl() {
  if (signals_ == nullptr) return;  // never started
  for (const auto& child : children_) Kill(child.get(), "was not needed any more");
  // Nothing to tell it to: the caller who wants to know calls Shutdown.
  static_cast<void>(EndAll(InMs(kAfterKillMs)));
}

Status WorkerPool::Impl::Start() {
  ARROW_RETURN_NOT_OK(options_.Validate());
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return FailErrno(errno, "children of workers cannot be adopted");
  }
  const std::vector<pid_t> before = ChildrenOf(getpid());
  spared_.insert(before.begin(), before.end());
  oom_kills_ = CountOomKills();
  ARROW_ASSIGN_OR_RAISE(signals_, SignalWatch::Make());
  return Status::OK();
}

Child* WorkerPool::Impl::FindTask(int64_t task) const {
  for (const auto& child : children_) {
    if (child->task && child->task->id == task) return child.get();
  }
  return nullptr;
}

Child* WorkerPool::Impl::FindIdle(Role role, const Assignment& assignment) {
  Child* found = nullptr;
  for (const auto& child : children_) {
    const bool prepared = child->state == State::kStarting && child->is_prepared();
    if (child->role != role || (child->state != State::kIdle && !prepared)) continue;
    if (!child->socket_open || !child->kill_reason.empty()) continue;  // about to end
    const bool same_stage = child->stage == assignment.stage;
    if (role == Role::kExec && (!same_stage || child->threads != assignment.threads)) continue;
    // One that had this stage before holds its whole inputs.
    if (same_stage) return child.get();
    found = child.get();
  }
  return found;
}

bool WorkerPool::Impl::RetireIdle() {
  bool any = false;
  for (const auto& child : children_) {
    if (child->state != State::kIdle || child.get() == zygote_) continue;
    AskToLeave(child.get());
    any = true;
  }
  return any;
}

// A whole-frame stage wants the memory that these hold. Native workers hold little.
void WorkerPool::Impl::RetireIdlePython() {
  for (const auto& child : children_) {
    const bool idle = child->state == State::kIdle && child.get() != zygote_;
    if (idle && child->is_python() && !child->is_prepared()) AskToLeave(child.get());
  }
}

Status WorkerPool::Impl::Submit(enum Start start, Json task) {
  ARROW_ASSIGN_OR_RAISE(Assignment assignment, ParseAssignment(std::move(task)));
  if (FindTask(assignment.id) != nullptr) {
    return Fail(Fault::kInternal,
                "task " + std::to_string(assignment.id) + " is submitted while it runs");
  }
  const Role role = RoleOf(start);
  Child* idle = role == Role::kPlanner ? nullptr : FindIdle(role, assignment);
  if (role == Role::kExec && (idle == nullptr || idle->is_prepared())) RetireIdlePython();
  if (idle == nullptr) return SubmitToNew(role, std::move(assignment));
  idle->Assign(std::move(assignment));
  if (idle->state == State::kIdle) SendTask(idle);  // else with its hello
  return Status::OK();
}

Status WorkerPool::Impl::Prepare(const Json& task) {
  Json message = task;
  message["type"] = "prepare";
  const int threads = std::max(1, message.value("threads", 1));
  ARROW_ASSIGN_OR_RAISE(auto child, StartChild(Role::kExec, threads, options_));
  child->stage = message.value("stage", "");
  child->preparation = std::move(message);
  children_.push_back(std::move(child));
  return Status::OK();
}

TaskUse WorkerPool::Impl::UseOf(int64_t task) const {
  const Child* child = FindTask(task);
  if (child == nullptr) return {};
  TaskUse use{{}, child->last_word};
  if (child->pid > 0) use.use = UseOfTree(child->pid);
  return use;
}

void WorkerPool::Impl::End(int64_t task, std::string reason, std::string remedy) {
  Child* child = FindTask(task);
  if (child == nullptr) return;
  child->kill_remedy = std::move(remedy);
  if (child->state != State::kWanted) return Kill(child, std::move(reason));
  child->kill_reason = reason;
  GiveUp(child, Fail(Fault::kWorkerDied, "it " + reason));
}

Status WorkerPool::Impl::SubmitToNew(Role role, Assignment assignment) {
  std::unique_ptr<Child> child;
  if (role == Role::kForked) {
    child = std::make_unique<Child>();
    child->role = role;
    if (forking_) ARROW_RETURN_NOT_OK(EnsureZygote());
    if (!forking_) ARROW_RETURN_NOT_OK(StartInsteadOfFork(child.get(), options_));
  } else {
    ARROW_ASSIGN_OR_RAISE(child, StartChild(role, std::max(1, assignment.threads), options_));
  }
  child->Assign(std::move(assignment));
  children_.push_back(std::move(child));
  RequestForks();
  return Status::OK();
}

void WorkerPool::Impl::SendTask(Child* child) {
  child->state = State::kBusy;
  child->deadline.reset();
  if (const Status sent = child->channel.Send(child->task->message); !sent.ok()) {
    // Most likely it is ending, and its end says more than we could.
    child->SetDeadline(options_.exit_timeout_ms,
                       "could not be given its task (" + sent.message() + ")");
  }
}

void WorkerPool::Impl::AskToLeave(Child* child) {
  child->state = State::kLeaving;
  child->SetDeadline(options_.exit_timeout_ms, "did not leave when it was told to");
  // A child that is gone already is noticed by its pidfd; one that does not read, by the deadline.
  static_cast<void>(child->channel.Send({{"type", "exit"}}));
}

void WorkerPool::Impl::Kill(Child* child, std::string reason) {
  if (child->state == State::kGone) return;
  if (child->kill_reason.empty()) child->kill_reason = std::move(reason);
  child->deadline.reset();
  if (child->state == State::kWanted) {
    child->state = State::kGone;
    return;
  }
  if (child->pid < 0) return;  // SetPid kills it
  // The group first: it holds whatever the user's code has started. Not reaped, so the pid is ours.
  kill(-child->pid, SIGKILL);
  kill(child->pid, SIGKILL);
}

void WorkerPool::Impl::Cancel(int64_t task) {
  for (const auto& child : children_) {
    if (!child->task || child->task->id != task) continue;
    child->task.reset();
    Kill(child.get(), "was cancelled");
  }
  ForgetGone();
}

void WorkerPool::Impl::SetPreload(std::vector<std::string> modules) {
  if (modules == options_.preload) return;
  options_.preload = std::move(modules);
  forking_ = true;
  zygote_failures_ = 0;
  if (zygote_ == nullptr) return;
  // Workers that it was asked for are asked for again, from the next one.
  Child* old = zygote_;
  zygote_ = nullptr;
  OnZygoteExit(*old);
  Kill(old, "was replaced");
}

int WorkerPool::Impl::busy() const {
  return static_cast<int>(std::count_if(children_.begin(), children_.end(),
                                        [](const auto& child) { return child->task.has_value(); }));
}

std::vector<int64_t> WorkerPool::Impl::pids() const {
  std::vector<int64_t> pids;
  for (const auto& child : children_) {
    if (child->pid > 0 && child->state != State::kGone) pids.push_back(child->pid);
  }
  return pids;
}

Result<std::vector<Event>> WorkerPool::Impl::Wait(int timeout_ms) {
  const std::optional<Clock::time_point> until =
      timeout_ms < 0 ? std::nullopt : std::optional(InMs(timeout_ms));
  woken_ = false;
  while (events_.empty() && interrupts_ == 0 && !woken_) {
    if (!until && busy() == 0) break;
    ARROW_RETURN_NOT_OK(RunOnce(until));
    if (until && Clock::now() >= *until) break;
  }
  if (events_.empty() && interrupts_ > 0) {
    --interrupts_;
    return Fail(Fault::kInterrupted, "the run was interrupted", {},
                "Run the same command again: it goes on with what is missing.");
  }
  return std::exchange(events_, {});
}

Status WorkerPool::Impl::Shutdown(int grace_ms) {
  for (const auto& child : children_) {
    const bool working = child->task.has_value() || child->state == State::kStarting;
    child->task.reset();
    if (child->pid < 0) {
      child->state = State::kGone;  // one that is being forked finds its socket closed and leaves
    } else if (!working) {
      if (child->state != State::kGone) AskToLeave(child.get());
    } else {
      child->state = State::kLeaving;
      child->kill_reason = "was told to end";
      kill(child->pid, SIGTERM);
    }
  }
  zygote_ = nullptr;
  const int interrupts = interrupts_;
  const Clock::time_point until = InMs(std::max(0, grace_ms));
  ForgetGone();
  while (!children_.empty() && Clock::now() < until && interrupts_ == interrupts) {
    ARROW_RETURN_NOT_OK(RunOnce(until));
  }
  for (const auto& child : children_) Kill(child.get(), "did not leave in time");
  const Status ended = EndAll(InMs(kAfterKillMs));
  events_.clear();
  interrupts_ = 0;
  return ended;
}

Result<std::unique_ptr<WorkerPool>> WorkerPool::Make(PoolOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  ARROW_RETURN_NOT_OK(impl->Start());
  return std::unique_ptr<WorkerPool>(new WorkerPool(std::move(impl)));
}

WorkerPool::WorkerPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerPool::~WorkerPool() = default;

Status WorkerPool::Submit(Start start, Json task) { return impl_->Submit(start, std::move(task)); }
Result<std::vector<Event>> WorkerPool::Wait(int timeout_ms) { return impl_->Wait(timeout_ms); }
Status WorkerPool::Prepare(const Json& task) { return impl_->Prepare(task); }
TaskUse WorkerPool::UseOf(int64_t task) const { return impl_->UseOf(task); }
void WorkerPool::End(int64_t task, std::string reason, std::string remedy) {
  impl_->End(task, std::move(reason), std::move(remedy));
}
bool WorkerPool::RetireIdle() { return impl_->RetireIdle(); }
void WorkerPool::Cancel(int64_t task) { impl_->Cancel(task); }
void WorkerPool::set_preload(std::vector<std::string> modules) {
  impl_->SetPreload(std::move(modules));
}
Status WorkerPool::WarmUp() { return impl_->EnsureZygote(); }
int WorkerPool::last_signal() const { return impl_->last_signal(); }

void WorkerPool::set_wake_fd(int fd) { impl_->set_wake_fd(fd); }
int WorkerPool::busy() const { return impl_->busy(); }
std::vector<int64_t> WorkerPool::pids() const { return impl_->pids(); }
Status WorkerPool::Shutdown(int grace_ms) { return impl_->Shutdown(grace_ms); }

}  // namespace hayate::worker
