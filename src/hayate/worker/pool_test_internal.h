#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hayate/base/process.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::worker {

/// Longest wait of a test for anything: reached only when the test fails.
inline constexpr int kPatienceMs = 60'000;

/// A pool of fake workers (fake_worker_main.cc) that keeps its log.
struct TestPool {
  std::vector<std::string> log;  ///< "stage/partition: text"
  std::unique_ptr<WorkerPool> pool;

  explicit TestPool(PoolOptions options = {}) {
    if (options.python == "python3") options.python = HAYATE_FAKE_WORKER;
    options.self = HAYATE_FAKE_WORKER;
    options.on_log = [this](const LogLine& line) {
      log.push_back(line.stage + "/" + (line.partition ? std::to_string(*line.partition) : "") +
                    ": " + std::string(line.text));
    };
    auto made = WorkerPool::Make(std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    if (made.ok()) pool = *std::move(made);
  }

  static Json Task(int64_t id, const std::string& how) {
    return {{"id", id}, {"kind", "fake"}, {"how", how}, {"stage", "features"}, {"partition", 3}};
  }

  /// Of a stage that runs once.
  static Json OnceTask(int64_t id, const std::string& how) {
    Json task = Task(id, how);
    task.erase("partition");
    return task;
  }

  Status Submit(Start start, int64_t id, const std::string& how) const {
    return pool->Submit(start, Task(id, how));
  }

  /// The next event that is no progress.
  Event Next() const {
    const auto events = pool->Wait(kPatienceMs);
    EXPECT_TRUE(events.ok()) << events.status();
    if (!events.ok() || events->empty()) {
      ADD_FAILURE() << "no event";
      return {};
    }
    for (const Event& event : *events) {
      if (event.kind != Event::Kind::kProgress) {
        EXPECT_EQ(&event, &events->back()) << "more than one task has ended";
        return event;
      }
    }
    return Next();
  }

  /// Runs one task to its end.
  Event Run(Start start, const std::string& how) { return RunTask(start, Task(++last_id, how)); }
  Event RunOnce(const std::string& how) { return RunTask(Start::kExec, OnceTask(++last_id, how)); }

  Event RunTask(Start start, const Json& task) const {
    const Status submitted = pool->Submit(start, task);
    EXPECT_TRUE(submitted.ok()) << submitted;
    if (!submitted.ok()) return {};
    Event event = Next();
    EXPECT_EQ(event.task, task["id"].get<int64_t>());
    return event;
  }

  bool LogHas(const std::string& part) const {
    for (const std::string& line : log) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

 private:
  int64_t last_id = 0;
};

/// Whether the process ends within the test's patience. One that is not there has ended.
inline bool EndsSoon(pid_t pid) {
  const auto pidfd = OpenPidFd(pid);
  if (!pidfd.ok()) return true;
  pollfd watched{pidfd->get(), POLLIN, 0};
  return poll(&watched, 1, kPatienceMs) == 1;
}

}  // namespace hayate::worker
