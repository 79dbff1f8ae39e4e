#include <signal.h>

#include <algorithm>
#include <string>
#include <utility>

#include "hayate/worker/worker_pool_impl.h"

namespace hayate::worker {
namespace {

constexpr int kMostZygoteFailures = 3;

}  // namespace

bool WorkerPool::Impl::fork_pending() const {
  return std::any_of(children_.begin(), children_.end(), [](const auto& child) {
    return child->state == State::kStarting && child->pid < 0;
  });
}

Status WorkerPool::Impl::EnsureZygote() {
  if (!forking_ || zygote_ != nullptr) return Status::OK();
  if (zygote_failures_ >= kMostZygoteFailures) {
    StopForking("it ended " + std::to_string(zygote_failures_) + " times");
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(auto zygote, StartChild(Role::kZygote, 1, options_));
  zygote_ = zygote.get();
  children_.push_back(std::move(zygote));
  return Status::OK();
}

void WorkerPool::Impl::OnZygoteReady(const Json& hello) {
  const auto threaded = hello.find("threaded");
  if (threaded != hello.end() && threaded->is_object()) {
    for (const auto& [module, count] : threaded->items()) {
      Say(nullptr, "module " + module + " leaves " + count.dump() +
                       " threads when it is imported: each worker imports it itself");
    }
  }
  const int64_t threads = Member<int64_t>(hello, "threads", "hello").ValueOr(0);
  if (threads > 1) {
    Child* zygote = zygote_;
    StopForking("it has " + std::to_string(threads) + " threads");
    AskToLeave(zygote);
  }
}

// For each wanted worker, once the zygote is ready.
void WorkerPool::Impl::RequestForks() {
  const bool wanted = std::any_of(children_.begin(), children_.end(),
                                  [](const auto& child) { return child->state == State::kWanted; });
  if (!wanted) return;
  if (zygote_ == nullptr) {
    if (const Status started = EnsureZygote(); !started.ok()) StopForking(started.message());
  }
  if (zygote_ == nullptr || zygote_->state != State::kIdle) return;
  for (size_t i = 0; i < children_.size(); ++i) {
    if (children_[i]->state == State::kWanted && zygote_->socket_open) {
      RequestFork(children_[i].get());
    }
  }
}

void WorkerPool::Impl::RequestFork(Child* child) {
  auto pipes = MakeChildPipes();
  if (!pipes.ok()) return GiveUp(child, pipes.status());
  child->fork_id = next_fork_id_++;
  const Json request = {{"type", "task"}, {"id", child->fork_id}, {"kind", "fork"}};
  const Status sent = zygote_->channel.Send(request, {pipes->theirs.fd(), pipes->log_write.get()});
  if (!sent.ok()) {
    // Most likely it is ending, and its end says more than we could. The child stays wanted.
    zygote_->socket_open = false;
    return zygote_->SetDeadline(options_.exit_timeout_ms,
                                "could not be asked for a worker (" + sent.message() + ")");
  }
  child->channel = std::move(pipes->ours);
  child->socket_open = true;
  child->log = std::move(pipes->log_read);
  child->state = State::kStarting;
  child->SetDeadline(options_.hello_timeout_ms, "was not ready in time");
}

void WorkerPool::Impl::OnForkAnswer(const Json& message, bool ok) {
  const auto id = Member<int64_t>(message, "task", "an answer").ValueOr(0);
  for (size_t i = 0; i < children_.size(); ++i) {
    Child* child = children_[i].get();
    if (child->fork_id != id || child->role != Role::kForked) continue;
    if (!ok) {
      return GiveUp(child, ErrorFromJson(message.contains("error") ? message["error"] : Json()));
    }
    zygote_failures_ = 0;
    const Json result = message.contains("result") ? message["result"] : Json();
    if (child->pid < 0) SetPid(child, Member<pid_t>(result, "pid", "an answer").ValueOr(-1));
    return;
  }
}

void WorkerPool::Impl::SetPid(Child* child, pid_t pid) {
  // It is our child until we reap it, so the number cannot belong to anyone else.
  auto pidfd = pid > 0 ? OpenPidFd(pid) : Fail(Fault::kInternal, "a worker has no pid");
  if (!pidfd.ok()) return GiveUp(child, pidfd.status());
  child->pid = pid;
  child->pidfd = *std::move(pidfd);
  if (!child->kill_reason.empty()) Kill(child, child->kill_reason);
}

// A worker that never came to be: its task has to be told.
void WorkerPool::Impl::GiveUp(Child* child, const Status& status) {
  child->state = State::kGone;
  if (!child->task) return;
  Event event;
  event.kind = Event::Kind::kDied;
  event.task = child->task->id;
  event.body = Json::object();
  const std::string remedy =
      child->kill_remedy.empty()
          ? "Check how many processes and how much memory there may be (ulimit -u, pids.max, "
            "memory.max), then run the same command again: it goes on."
          : child->kill_remedy;
  event.status = AtStage(
      Fail(Fault::kWorkerDied, "a worker could not be started: " + status.message(), {}, remedy),
      child->task->stage, child->task->partition);
  child->task.reset();
  events_.push_back(std::move(event));
}

void WorkerPool::Impl::OnZygoteExit(const Child& zygote) {
  for (const auto& child : children_) {
    const bool unanswered =
        child->role == Role::kForked && child->state == State::kStarting && child->pid < 0;
    if (!unanswered) continue;
    // If it was forked all the same, it finds its socket closed and leaves.
    child->socket_open = false;
    child->channel = Channel(FileDescriptor());
    child->log.Reset();
    child->deadline.reset();
    child->state = State::kWanted;
    // One that was killed before its pid was known is not asked for again.
    if (!child->kill_reason.empty()) {
      GiveUp(child.get(), Fail(Fault::kWorkerDied, "it " + child->kill_reason));
    }
  }
  if (!zygote.kill_reason.empty()) Say(&zygote, "the zygote " + zygote.kill_reason);
}

// The design's other way to start a worker, for all that is wanted now and later.
void WorkerPool::Impl::StopForking(const std::string& why) {
  forking_ = false;
  zygote_ = nullptr;
  Say(nullptr, "workers are started as fresh interpreters, not forked from the zygote: " + why);
  for (size_t i = 0; i < children_.size(); ++i) {
    Child* child = children_[i].get();
    if (child->state != State::kWanted) continue;
    if (const Status started = StartInsteadOfFork(child, options_); !started.ok()) {
      GiveUp(child, started);
    }
  }
}

}  // namespace hayate::worker
