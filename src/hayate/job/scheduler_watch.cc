// What the scheduler does about tasks that hold too much memory, take too long or hang.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "hayate/job/scheduler.h"

namespace hayate::job {
namespace {

// Shares of the memory limit. What lies between them is what running tasks may still grow by.
constexpr double kHoldShare = 0.80;
constexpr double kEndShare = 0.92;
// To end a task that holds less would lose its work and win nothing.
constexpr double kWorthEndingShare = 0.02;

// CPU time that counts as a sign of life: a thread that only waits wakes up now and then.
constexpr double kSignOfLifeS = 0.1;
// Looks at CPU time within the idle limit.
constexpr double kIdleLooks = 20;
// After SIGKILL only the kernel can keep a process.
constexpr double kAfterKillS = 60;

std::string InWords(double seconds) {
  if (seconds >= 120) return std::to_string(std::lround(seconds / 60)) + " minutes";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g seconds", seconds);
  return text.data();
}

std::string OfLimit(const MemoryReading& reading) {
  return InGibibytes(reading.used_bytes) + " of " + InGibibytes(reading.limit_bytes);
}

}  // namespace

Status Scheduler::Watch() {
  const double now_s = Now();
  if (now_s < next_watch_s_) return Status::OK();
  next_watch_s_ = now_s + options_.watch_ms * 1e-3;
  if (options_.memory) WatchMemory();
  return WatchTimes();
}

void Scheduler::WatchMemory() {
  const MemoryReading reading = options_.memory();
  memory_is_short_ = reading.share() > kHoldShare || reading.stalled;
  if (!memory_is_short_) return;
  // What idle workers hold is the cheapest to have back, and may be enough.
  if (pool_->RetireIdle() || reading.share() <= kEndShare) return;
  EndLargest(reading);
}

void Scheduler::EndLargest(const MemoryReading& reading) {
  auto largest = running_.end();
  int64_t most_bytes = 0;
  for (auto one = running_.begin(); one != running_.end(); ++one) {
    if (one->second.ended != Ended::kNo) return;  // its memory is on the way back
    if (one->second.entry.task.background) continue;
    const int64_t bytes = pool_->UseOf(one->first).use.private_bytes;
    if (bytes <= most_bytes) continue;
    most_bytes = bytes;
    largest = one;
  }
  if (largest == running_.end() ||
      static_cast<double>(most_bytes) <
          kWorthEndingShare * static_cast<double>(reading.limit_bytes)) {
    return;  // others than this run's tasks hold the memory
  }
  Running& running = largest->second;
  const Task& task = running.entry.task;
  const bool alone = CountForeground() == 1;
  if (alone) {
    running.too_large =
        Fail(Fault::kWorkerDied,
             "it needs more memory than there is: its worker held " + InGibibytes(most_bytes) +
                 " when " + OfLimit(reading) + " were in use and nothing else ran",
             {.stage = task.node, .partition = task.partition},
             "Give the run more memory, or let the stage hold less at a time: smaller parts "
             "(rows=, partition_by=), fewer columns.");
  } else {
    const std::string what = "memory runs short (" + OfLimit(reading) + "): " + NameOf(task) +
                             ", which holds " + InGibibytes(most_bytes) +
                             ", is ended and starts again alone";
    if (warned_of_memory_) {
      Log(what);
    } else {
      Warn(what + "; fewer tasks run at a time from now on. More memory or smaller parts avoid it");
    }
    warned_of_memory_ = true;
  }
  FewerAtOnce(task.node);
  End(largest->first, &running, Ended::kForMemory, "held most when memory ran short", "");
}

Status Scheduler::WatchTimes() {
  const double now_s = Now();
  const bool look_at_idle = now_s >= next_idle_look_s_;
  if (look_at_idle) next_idle_look_s_ = now_s + options_.idle_limit_ms * 1e-3 / kIdleLooks;
  for (auto& [id, running] : running_) {
    const Task& task = running.entry.task;
    if (running.ended != Ended::kNo) {
      if (now_s - running.ended_s < kAfterKillS) continue;
      return Fail(Fault::kWorkerDied, "its worker was killed and does not end",
                  {.stage = task.node, .partition = task.partition},
                  "The kernel holds it, most likely for a disk or a network file system that does "
                  "not answer: check these, then run the same command again.");
    }
    if (task.timeout_ms > 0) {
      if ((now_s - running.start_s) * 1e3 < static_cast<double>(task.timeout_ms)) continue;
      End(id, &running, Ended::kForTime,
          "took longer than the " + InWords(static_cast<double>(task.timeout_ms) * 1e-3) +
              " that it may",
          task.timeout_remedy);
    } else if (look_at_idle) {
      WatchIdle(id, &running);
    }
  }
  return Status::OK();
}

void Scheduler::WatchIdle(int64_t id, Running* running) {
  const double now_s = Now();
  const worker::TaskUse use = pool_->UseOf(id);
  running->heard_s = std::max(
      running->heard_s, std::chrono::duration<double>(use.last_word - options_.begin).count());
  if (std::abs(use.use.cpu_s - running->heard_cpu_s) >= kSignOfLifeS) {
    running->heard_cpu_s = use.use.cpu_s;
    running->heard_s = now_s;
  }
  const double limit_s = options_.idle_limit_ms * 1e-3;
  if (now_s - running->heard_s < limit_s) return;
  End(id, running, Ended::kForTime, "used no CPU and said nothing for " + InWords(limit_s),
      "Find what it waits for (a lock, a server that does not answer). If it has to wait so long, "
      "say how long the stage may take: timeout= (seconds) of hy.stage.");
}

void Scheduler::End(int64_t id, Running* running, Ended why, std::string reason,
                    std::string remedy) {
  running->ended = why;
  running->ended_s = Now();
  pool_->End(id, std::move(reason), std::move(remedy));
}

}  // namespace hayate::job
