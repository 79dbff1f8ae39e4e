#include "hayate/worker/worker_pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "hayate/worker/channel.h"
#include "hayate/worker/pool_test_internal.h"

namespace hayate::worker {
namespace {

std::string WhereOf(const Status& status) {
  const FaultDetail* detail = FaultDetail::Get(status);
  return detail == nullptr ? "" : detail->where().ToString();
}

TEST(WorkerPoolTest, RunsATaskAndUsesTheChildAgain) {
  TestPool test;
  const Event first = test.Run(Start::kNative, "");
  ASSERT_EQ(first.kind, Event::Kind::kDone);
  EXPECT_EQ(first.body["result"]["parent"], getpid());
  EXPECT_EQ(first.body["result"]["group"], first.body["result"]["pid"]);
  const Event second = test.Run(Start::kNative, "");
  EXPECT_EQ(second.body["result"]["pid"], first.body["result"]["pid"]);
  EXPECT_EQ(test.pool->busy(), 0);
  EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
  EXPECT_TRUE(test.pool->pids().empty());
}

TEST(WorkerPoolTest, RunsTasksSideBySide) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  ASSERT_TRUE(test.Submit(Start::kNative, 2, "").ok());
  EXPECT_EQ(test.pool->busy(), 2);
  EXPECT_EQ(test.Next().task, 2);
  EXPECT_EQ(test.pool->busy(), 1);
}

TEST(WorkerPoolTest, RefusesATaskThatRunsAlreadyOrHasNoId) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  EXPECT_FALSE(test.Submit(Start::kNative, 1, "").ok());
  EXPECT_FALSE(test.pool->Submit(Start::kNative, {{"kind", "fake"}}).ok());
}

TEST(WorkerPoolTest, HandsProgressOn) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "progress").ok());
  const auto events = test.pool->Wait(kPatienceMs);
  ASSERT_TRUE(events.ok() && !events->empty());
  EXPECT_EQ(events->front().kind, Event::Kind::kProgress);
  EXPECT_EQ(events->front().body["rows"], 7);
}

TEST(WorkerPoolTest, HandsAnErrorOnWithStagePartitionAndTraceback) {
  TestPool test;
  const Event event = test.Run(Start::kNative, "fail");
  ASSERT_EQ(event.kind, Event::Kind::kFailed);
  EXPECT_EQ(FaultOf(event.status), Fault::kUserCode);
  EXPECT_EQ(WhereOf(event.status), "stage features, partition 3, line 12");
  EXPECT_EQ(TracebackOf(event.status), "line 12");
  EXPECT_EQ(test.Run(Start::kNative, "").kind, Event::Kind::kDone);
}

TEST(WorkerPoolTest, NoticesAKilledWorkerAndReplacesIt) {
  TestPool test;
  const Event event = test.Run(Start::kNative, "kill");
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_EQ(event.body["signal"], SIGKILL);
  EXPECT_GT(event.body["max_rss_bytes"].get<int64_t>(), 0);
  EXPECT_EQ(FaultOf(event.status), Fault::kWorkerDied);
  EXPECT_EQ(WhereOf(event.status), "stage features, partition 3");
  EXPECT_NE(event.status.message().find("SIGKILL"), std::string::npos) << event.status;
  EXPECT_EQ(test.Run(Start::kNative, "").kind, Event::Kind::kDone);
}

TEST(WorkerPoolTest, NoticesAWorkerThatLeaves) {
  TestPool test;
  const Event event = test.Run(Start::kNative, "leave");
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_EQ(event.body["exit_code"], 3);
  EXPECT_FALSE(event.body.contains("signal"));
  EXPECT_NE(TracebackOf(event.status).find("leave"), std::string::npos) << "its last lines";
}

TEST(WorkerPoolTest, EndsAWorkerThatBreaksTheProtocol) {
  for (const char* how : {"garbage", "oversized", "strange"}) {
    TestPool test;
    const Event event = test.Run(Start::kNative, how);
    EXPECT_EQ(event.kind, Event::Kind::kDied) << how;
    EXPECT_NE(event.status.message().find("broke the protocol"), std::string::npos) << how;
  }
}

TEST(WorkerPoolTest, EndsAWorkerThatClosesItsSocketAndLivesOn) {
  TestPool test({.exit_timeout_ms = 50});
  EXPECT_EQ(test.Run(Start::kNative, "deaf").kind, Event::Kind::kDied);
}

TEST(WorkerPoolTest, EndsAWorkerThatNeverSaysHello) {
  TestPool test({.environment = {{"FAKE_SILENT", "1"}}, .hello_timeout_ms = 50});
  const Event event = test.Run(Start::kNative, "");
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_NE(event.status.message().find("was not ready in time"), std::string::npos);
}

TEST(WorkerPoolTest, ShowsWhatAWorkerSaidThatCannotStart) {
  TestPool test({.environment = {{"FAKE_CRASH", "1"}}});
  const Event event = test.Run(Start::kExec, "");
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_NE(FormatForUser(event.status).find("no module named hayate"), std::string::npos);
}

TEST(WorkerPoolTest, NamesAProgramThatIsNotThere) {
  TestPool test({.python = "/no/such/python"});
  const Status submitted = test.Submit(Start::kExec, 1, "");
  EXPECT_EQ(WhereOf(submitted), "/no/such/python") << submitted;
  EXPECT_EQ(test.pool->busy(), 0);
}

TEST(WorkerPoolTest, GivesEachLineToTheLogBeforeTheEndOfItsTask) {
  TestPool test;
  test.Run(Start::kNative, "kill");
  ASSERT_EQ(test.log.size(), 1U);
  EXPECT_EQ(test.log[0], "features/3: task 1: kill");
}

TEST(WorkerPoolTest, DrainsAChildThatWritesMoreThanAPipeHolds) {
  TestPool test;
  EXPECT_EQ(test.Run(Start::kNative, "flood").kind, Event::Kind::kDone);
  EXPECT_EQ(test.log.size(), 20'001U);
}

TEST(WorkerPoolTest, ReportsAnInterruptOnceAndGoesOn) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  for (const int number : {SIGINT, SIGTERM}) {
    ASSERT_EQ(raise(number), 0);
    const auto events = test.pool->Wait(kPatienceMs);
    ASSERT_FALSE(events.ok());
    EXPECT_EQ(FaultOf(events.status()), Fault::kInterrupted);
    EXPECT_TRUE(test.pool->Wait(0).ok());
  }
}

TEST(WorkerPoolTest, GivesTheSignalsBackWhenItEnds) {
  {
    const TestPool test;
  }
  sigset_t blocked;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &blocked), 0);
  EXPECT_EQ(sigismember(&blocked, SIGINT), 0);
}

TEST(WorkerPoolTest, WakesForAnotherDescriptor) {
  TestPool test;
  auto pair = Channel::Pair();
  ASSERT_TRUE(pair.ok());
  test.pool->set_wake_fd(pair->first.fd());
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  {
    const Channel closed = std::move(pair->second);
  }
  const auto events = test.pool->Wait(-1);
  EXPECT_TRUE(events.ok() && events->empty());
  EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
}

TEST(WorkerPoolTest, WaitsForNothingWhenNothingRuns) {
  const TestPool test;
  const auto events = test.pool->Wait(-1);
  EXPECT_TRUE(events.ok() && events->empty());
}

TEST(WorkerPoolTest, ShutsDownBusyChildren) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "progress").ok());
  ASSERT_TRUE(test.Submit(Start::kExec, 2, "hang").ok());
  ASSERT_TRUE(test.pool->Wait(kPatienceMs).ok());
  const auto pids = test.pool->pids();
  EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
  for (const int64_t pid : pids) EXPECT_NE(kill(static_cast<pid_t>(pid), 0), 0);
  EXPECT_EQ(test.Run(Start::kNative, "").kind, Event::Kind::kDone) << "the pool can be used again";
}

TEST(WorkerPoolTest, KillsChildrenThatDoNotLeave) {
  TestPool test;
  EXPECT_EQ(test.Run(Start::kNative, "stubborn").kind, Event::Kind::kDone);
  EXPECT_TRUE(test.pool->Shutdown(0).ok());
  EXPECT_TRUE(test.pool->pids().empty());
}

TEST(WorkerPoolTest, KillsAFreshInterpreterThatDoesNotLeaveAfterItsTask) {
  TestPool test({.exit_timeout_ms = 50});
  const Event event = test.RunOnce("stubborn");
  ASSERT_EQ(event.kind, Event::Kind::kDone);
  const auto pid = event.body["result"]["pid"].get<pid_t>();
  while (!test.pool->pids().empty()) ASSERT_TRUE(test.pool->Wait(10).ok());
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(WorkerPoolTest, EndsWhatAWorkerHasStarted) {
  TestPool test;
  const auto child = test.RunOnce("child").body["result"]["stray"].get<pid_t>();
  while (!test.pool->pids().empty()) ASSERT_TRUE(test.pool->Wait(10).ok());
  EXPECT_TRUE(EndsSoon(child));
  const auto daemon = test.Run(Start::kNative, "daemon").body["result"]["stray"].get<pid_t>();
  EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
  EXPECT_NE(kill(child, 0), 0) << "in the worker's group";
  EXPECT_NE(kill(daemon, 0), 0) << "in a session of its own";
}

TEST(WorkerPoolTest, CancelsATaskWithoutAnEvent) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  ASSERT_TRUE(test.Submit(Start::kNative, 2, "").ok());
  test.pool->Cancel(1);
  test.pool->Cancel(99);
  EXPECT_EQ(test.Next().task, 2);
  const auto rest = test.pool->Wait(-1);
  EXPECT_TRUE(rest.ok() && rest->empty());
}

TEST(WorkerPoolTest, GivesAFreshInterpreterItsOwnThreadVariables) {
  TestPool test;
  Json task = TestPool::OnceTask(1, "");
  task["threads"] = 3;
  const Event first = test.RunTask(Start::kExec, task);
  EXPECT_EQ(first.body["result"]["omp"], "3");
  task["id"] = 2;
  const Event second = test.RunTask(Start::kExec, task);
  EXPECT_NE(second.body["result"]["pid"], first.body["result"]["pid"]);
}

TEST(WorkerPoolTest, UsesAFreshInterpreterAgainForPartitionsOfTheSameStage) {
  TestPool test;
  Json task = TestPool::Task(1, "");
  task["threads"] = 2;
  const Json first = test.RunTask(Start::kExec, task).body["result"]["pid"];
  task["id"] = 2;
  EXPECT_EQ(test.RunTask(Start::kExec, task).body["result"]["pid"], first);
  task["threads"] = 3;
  EXPECT_NE(test.RunTask(Start::kExec, task).body["result"]["pid"], first);
  task["threads"] = 2;
  task["stage"] = "other";
  EXPECT_NE(test.RunTask(Start::kExec, task).body["result"]["pid"], first);
}

TEST(WorkerPoolTest, LetsIdlePythonWorkersGoBeforeAWholeFrameStage) {
  TestPool test;
  const Json native = test.Run(Start::kNative, "").body["result"]["pid"];
  const Json idle = test.Run(Start::kExec, "").body["result"]["pid"];
  ASSERT_EQ(test.RunOnce("").kind, Event::Kind::kDone);
  while (test.pool->pids().size() > 1) ASSERT_TRUE(test.pool->Wait(10).ok());
  EXPECT_NE(kill(idle.get<pid_t>(), 0), 0);
  EXPECT_EQ(test.Run(Start::kNative, "").body["result"]["pid"], native);
  EXPECT_TRUE(test.pool->RetireIdle());
  while (!test.pool->pids().empty()) ASSERT_TRUE(test.pool->Wait(10).ok());
  EXPECT_FALSE(test.pool->RetireIdle());
}

TEST(WorkerPoolTest, StartsAnInterpreterBeforeItsTaskComes) {
  TestPool test;
  Json coming = {{"stage", "model"}, {"threads", 2}, {"modules", {"pandas"}}};
  ASSERT_TRUE(test.pool->Prepare(coming).ok());
  const auto pids = test.pool->pids();
  while (!test.LogHas("prepares model")) ASSERT_TRUE(test.pool->Wait(10).ok());
  ASSERT_EQ(test.RunOnce("").kind, Event::Kind::kDone) << "another stage leaves it alone";
  Json task = TestPool::OnceTask(50, "");
  task.update({{"stage", "model"}, {"threads", 2}});
  EXPECT_EQ(test.RunTask(Start::kExec, task).body["result"]["pid"], pids.at(0));
  coming["stage"] = "late";
  ASSERT_TRUE(test.pool->Prepare(coming).ok());
  task.update({{"id", 51}, {"stage", "late"}});
  const auto late = test.pool->pids().back();
  EXPECT_EQ(test.RunTask(Start::kExec, task).body["result"]["pid"], late) << "before its hello";
}

TEST(WorkerPoolTest, EndsATaskWithReasonAndRemedy) {
  TestPool test;
  ASSERT_TRUE(test.Submit(Start::kNative, 1, "hang").ok());
  while (!test.LogHas("hang")) ASSERT_TRUE(test.pool->Wait(10).ok());
  const TaskUse use = test.pool->UseOf(1);
  EXPECT_GT(use.use.private_bytes, 0);
  EXPECT_GT(use.last_word.time_since_epoch().count(), 0);
  test.pool->End(1, "used no CPU", "Set timeout=.");
  const Event event = test.Next();
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  const std::string text = FormatForUser(event.status);
  EXPECT_NE(text.find("a native worker used no CPU and was ended"), std::string::npos) << text;
  EXPECT_NE(text.find("stage features, partition 3"), std::string::npos) << text;
  EXPECT_NE(text.find("Set timeout=."), std::string::npos) << text;
  EXPECT_EQ(text.find("dmesg"), std::string::npos) << text;
}

TEST(WorkerPoolTest, ToldEndNeedsNoAdviceAboutTheKernel) {
  TestPool test({.environment = {{"FAKE_SILENT", "1"}}, .hello_timeout_ms = 50});
  const std::string text = FormatForUser(test.Run(Start::kPlanner, "").status);
  EXPECT_EQ(text.find("dmesg"), std::string::npos) << text;
}

TEST(WorkerPoolTest, APlannerThatLeavesPointsAtItsPython) {
  TestPool test({.environment = {{"FAKE_CRASH", "1"}}});
  const std::string text = FormatForUser(test.Run(Start::kPlanner, "").status);
  EXPECT_NE(text.find("HAYATE_PYTHON"), std::string::npos) << text;
}

TEST(WorkerPoolTest, SparesTheChildrenThatTheProcessHadBefore) {
  const pid_t before = fork();
  if (before == 0) {
    while (true) pause();
  }
  {
    TestPool test;
    EXPECT_EQ(test.Run(Start::kNative, "").kind, Event::Kind::kDone);
    EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
  }
  EXPECT_EQ(kill(before, 0), 0);
  EXPECT_FALSE((*ReapWithin(before, 10)).has_value()) << "it lives";
  ASSERT_EQ(kill(before, SIGKILL), 0);
  EXPECT_TRUE((*ReapWithin(before, kPatienceMs)).has_value());
}

TEST(WorkerPoolTest, StartsFreshInterpretersWhereTheZygoteHasThreads) {
  TestPool test({.environment = {{"FAKE_THREADED", "1"}}});
  const Event first = test.Run(Start::kFork, "");
  ASSERT_EQ(first.kind, Event::Kind::kDone);
  EXPECT_EQ(first.body["result"]["omp"], "1");
  const Event second = test.Run(Start::kFork, "");
  EXPECT_EQ(second.body["result"]["pid"], first.body["result"]["pid"]) << "it serves many tasks";
  const auto said = std::count_if(test.log.begin(), test.log.end(), [](const std::string& line) {
    return line.find("fresh interpreters") != std::string::npos;
  });
  EXPECT_EQ(said, 1);
}

TEST(WorkerPoolTest, GivesUpOnAZygoteThatKeepsEnding) {
  TestPool test({.environment = {{"FAKE_CRASH", "1"}}});
  EXPECT_EQ(test.Run(Start::kFork, "").kind, Event::Kind::kDied);
  EXPECT_TRUE(test.LogHas("not forked from the zygote")) << "after a few tries";
}

TEST(WorkerPoolTest, EndsItsChildrenWhenTheSupervisorIsKilled) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    TestPool test;
    if (!test.Submit(Start::kNative, 1, "hang").ok()) _exit(1);
    if (!test.Submit(Start::kExec, 2, "hang").ok()) _exit(1);
    while (!test.LogHas("task 1") || !test.LogHas("task 2")) {
      if (!test.pool->Wait(10).ok()) _exit(1);
    }
    const auto pids = test.pool->pids();
    if (write(pipe_fds[1], pids.data(), 2 * sizeof(int64_t)) < 0) _exit(1);
    while (true) pause();
  }
  int64_t pids[2];
  ASSERT_EQ(read(pipe_fds[0], pids, sizeof(pids)), static_cast<ssize_t>(sizeof(pids)));
  ASSERT_EQ(kill(supervisor, SIGKILL), 0);
  ASSERT_TRUE(Reap(supervisor).ok());
  for (const int64_t pid : pids) EXPECT_TRUE(EndsSoon(static_cast<pid_t>(pid)));
  for (const int fd : pipe_fds) close(fd);
}

}  // namespace
}  // namespace hayate::worker
