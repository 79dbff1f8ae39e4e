#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>

#include "hayate/worker/worker_pool_impl.h"

namespace hayate::worker {
namespace {

// Log bytes taken from one child before the others have their turn.
constexpr int64_t kLogBytesPerTurn = 256 * 1024;

enum class Source { kSignals, kWake, kLog, kSocket, kPidFd };

struct Watched {
  Child* child;
  Source source;
};

}  // namespace

int WorkerPool::Impl::TimeoutMs(std::optional<Clock::time_point> until) const {
  std::optional<Clock::time_point> next = until;
  for (const auto& child : children_) {
    if (child->deadline && (!next || *child->deadline < *next)) next = child->deadline;
  }
  if (!next) return -1;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(*next - Clock::now()).count() + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, std::numeric_limits<int>::max()));
}

Status WorkerPool::Impl::RunOnce(std::optional<Clock::time_point> until) {
  ReapOrphans();
  std::vector<pollfd> fds = {{signals_->fd(), POLLIN, 0}};
  std::vector<Watched> watched = {{nullptr, Source::kSignals}};
  if (wake_fd_ >= 0 && !woken_) {
    fds.push_back({wake_fd_, POLLIN, 0});
    watched.push_back({nullptr, Source::kWake});
  }
  const auto watch = [&](Child* child, Source source, int fd) {
    fds.push_back({fd, POLLIN, 0});
    watched.push_back({child, source});
  };
  for (const auto& child : children_) {
    // The order matters: what a child wrote and said is taken before its end.
    if (child->log.valid()) watch(child.get(), Source::kLog, child->log.get());
    if (child->socket_open) watch(child.get(), Source::kSocket, child->channel.fd());
    if (child->pidfd.valid()) watch(child.get(), Source::kPidFd, child->pidfd.get());
  }
  const int ready = poll(fds.data(), fds.size(), TimeoutMs(until));
  if (ready < 0 && errno != EINTR) return FailErrno(errno, "the workers cannot be watched");
  for (size_t i = 0; ready > 0 && i < fds.size(); ++i) {
    Child* child = watched[i].child;
    if (fds[i].revents == 0 || (child != nullptr && child->state == State::kGone)) continue;
    // What came before in this loop may have closed it.
    switch (watched[i].source) {
      case Source::kSignals:
        while (const int number = signals_->Take()) {
          last_signal_ = number;
          ++interrupts_;
        }
        break;
      case Source::kWake:
        woken_ = true;
        break;
      case Source::kLog:
        if (child->log.valid()) ReadLog(child, kLogBytesPerTurn);
        break;
      case Source::kSocket:
        if (child->socket_open) ReadSocket(child);
        break;
      case Source::kPidFd:
        OnExit(child);
        break;
    }
  }
  CheckDeadlines();
  RequestForks();
  ForgetGone();
  return Status::OK();
}

void WorkerPool::Impl::CheckDeadlines() {
  const Clock::time_point now = Clock::now();
  for (size_t i = 0; i < children_.size(); ++i) {
    Child* child = children_[i].get();
    if (!child->deadline || now < *child->deadline) continue;
    const std::string reason = child->deadline_reason;
    // A fork that is never answered is the zygote's failure; its death asks for another.
    const bool unanswered = child->role == Role::kForked && child->pid < 0;
    Child* guilty = unanswered && zygote_ != nullptr ? zygote_ : child;
    child->deadline.reset();
    Kill(guilty, reason);
  }
}

void WorkerPool::Impl::ReapOrphans() {
  // While a fork is unanswered, an unknown child may be the worker.
  if (fork_pending()) return;
  for (pid_t pid = PeekEndedChild(); pid > 0; pid = PeekEndedChild()) {
    const bool known = std::any_of(children_.begin(), children_.end(),
                                   [pid](const auto& child) { return child->pid == pid; });
    // A known one is reaped when its pidfd is served; the rest can wait until then.
    if (known || !Reap(pid).ok()) return;
    spared_.erase(pid);  // the number may come again
  }
}

void WorkerPool::Impl::ForgetGone() {
  std::erase_if(children_, [](const auto& child) { return child->state == State::kGone; });
}

Status WorkerPool::Impl::EndAll(Clock::time_point until) {
  zygote_ = nullptr;
  for (const auto& child : children_) {
    child->task.reset();
    // Its pid will never be asked for: it leaves when its socket closes.
    if (child->pid < 0) child->state = State::kGone;
  }
  ForgetGone();
  while (!children_.empty()) {
    if (Clock::now() >= until) {
      return Fail(Fault::kInternal, children_.front()->Name() + " (process " +
                                        std::to_string(children_.front()->pid) +
                                        ") cannot be ended");
    }
    ARROW_RETURN_NOT_OK(RunOnce(until));
  }
  return EndOrphans(until);
}

// What user code left behind outside its worker's group is ours by now; its children, when it has
// ended.
Status WorkerPool::Impl::EndOrphans(Clock::time_point until) {
  while (true) {
    std::vector<pid_t> orphans = ChildrenOf(getpid());
    std::erase_if(orphans, [this](pid_t pid) { return spared_.contains(pid); });
    if (orphans.empty()) return Status::OK();
    if (Clock::now() >= until) {
      return Fail(Fault::kInternal, "processes that the stages started keep starting others");
    }
    for (const pid_t pid : orphans) kill(pid, SIGKILL);
    for (const pid_t pid : orphans) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
      const int wait_ms = static_cast<int>(std::max<int64_t>(0, left.count()));
      ARROW_ASSIGN_OR_RAISE(const auto ended, ReapWithin(pid, wait_ms));
      if (!ended) {
        // Of another user, or held by the kernel.
        return Fail(Fault::kInternal,
                    "process " + std::to_string(pid) + ", which a stage started, cannot be ended",
                    {}, "End it by hand: kill " + std::to_string(pid));
      }
    }
  }
}

}  // namespace hayate::worker
