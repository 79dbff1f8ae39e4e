#include "hayate/job/scheduler.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>

#include "hayate/job/map_run.h"
#include "hayate/job/run_state.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

using worker::Event;
using worker::Start;

// Ends the tasks in the order in which they were started, one for each Wait. What a task is to do
// stands in its message: "die" (so many times), "fail".
class FakePool : public TaskPool {
 public:
  Status Submit(Start start, Json task) override {
    running.push_back(task);
    submitted.push_back(task);
    starts.push_back(start);
    most_running = std::max(most_running, running.size());
    int threads = 0;
    for (const Json& one : running) threads += one["threads"].get<int>();
    most_threads = std::max(most_threads, threads);
    return Status::OK();
  }

  Result<std::vector<Event>> Wait(int) override {
    if (interrupt_after-- == 0) return Fail(Fault::kInterrupted, "interrupted");
    auto next = std::find_if(running.begin(), running.end(),
                             [this](const Json& task) { return ended.contains(task["id"]); });
    if (next == running.end()) {
      next = std::find_if(running.begin(), running.end(), [this](const Json& task) {
        return !endless.contains(task.value("name", ""));
      });
    }
    if (next == running.end()) return std::vector<Event>();
    const Json task = *next;
    running.erase(next);
    Event event;
    event.task = task["id"].get<int64_t>();
    const std::string name = task.value("name", "");
    if (const auto reason = ended.find(event.task); reason != ended.end()) {
      event.kind = Event::Kind::kDied;
      event.body = {{"out_of_memory", false}};
      event.status = Fail(Fault::kWorkerDied, "it " + reason->second);
    } else if (deaths[name] > 0) {
      --deaths[name];
      event.kind = Event::Kind::kDied;
      event.body = {{"out_of_memory", out_of_memory}};
      event.status = Fail(Fault::kWorkerDied, name + " was killed");
    } else if (failing.contains(name)) {
      event.kind = Event::Kind::kFailed;
      event.status = Fail(Fault::kUserCode, name + " raised");
    } else {
      event.kind = Event::Kind::kDone;
      event.body = {{"type", "done"}, {"result", {{"name", name}}}, {"usage", {{"cpu_s", 1.0}}}};
    }
    return std::vector<Event>{event};
  }

  void Cancel(int64_t task) override { cancelled.insert(task); }

  worker::TaskUse UseOf(int64_t task) override {
    worker::TaskUse use;
    for (const Json& one : running) {
      if (one["id"] == task) use.use.private_bytes = bytes[one.value("name", "")];
    }
    return use;
  }

  void End(int64_t task, std::string reason, std::string) override {
    ended[task] = std::move(reason);
    if (on_end) on_end();
  }

  bool RetireIdle() override { return idle_workers-- > 0; }

  std::deque<Json> running;
  std::vector<Json> submitted;
  std::vector<Start> starts;
  std::map<std::string, int> deaths;
  std::set<std::string> failing;
  std::set<int64_t> cancelled;
  std::set<std::string> endless;  // end only when they are ended
  std::map<int64_t, std::string> ended;
  std::map<std::string, int64_t> bytes;
  std::function<void()> on_end;
  int idle_workers = 0;
  bool out_of_memory = false;
  size_t most_running = 0;
  int most_threads = 0;
  int interrupt_after = -1;
};

class SchedulerTest : public testing::Test {
 protected:
  Scheduler Make(int slots, SchedulerOptions options = {}) {
    options.slots = slots;
    options.watch_ms = 0;
    options.on_log = [this](const std::string& text) { log_.push_back(text); };
    options.on_task = [this](const TaskRecord& task) { records_.push_back(task); };
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    return Scheduler(&pool_, options);
  }

  Task Named(const std::string& name, int slots = 1) {
    Task task;
    task.message = {{"type", "task"}, {"kind", "test"}, {"name", name}};
    task.node = name;
    task.min_slots = task.max_slots = slots;
    task.on_done = [this, name](const Json&) {
      done_.push_back(name);
      return Status::OK();
    };
    return task;
  }

  FakePool pool_;
  std::vector<std::string> done_;
  std::vector<TaskRecord> records_;
  std::vector<std::string> warnings_;
  std::vector<std::string> log_;
};

TEST_F(SchedulerTest, RunsAsManyTasksAsThereAreSlots) {
  Scheduler scheduler = Make(3);
  for (int i = 0; i < 10; ++i) scheduler.Add(Named("t" + std::to_string(i)));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_.size(), 10u);
  EXPECT_EQ(pool_.most_running, 3u);
  EXPECT_EQ(records_.size(), 10u);
}

TEST_F(SchedulerTest, RunsInOrderOfPriorityThenOfArrival) {
  Scheduler scheduler = Make(1);
  Task late = Named("late");
  late.priority = 2;
  scheduler.Add(std::move(late));
  scheduler.Add(Named("a"));
  scheduler.Add(Named("b"));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_, (std::vector<std::string>{"a", "b", "late"}));
}

TEST_F(SchedulerTest, AWideTaskIsNotOvertakenForEver) {
  Scheduler scheduler = Make(2);
  scheduler.Add(Named("a"));
  scheduler.Add(Named("wide", 2));
  for (int i = 0; i < 5; ++i) scheduler.Add(Named("small" + std::to_string(i)));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_[1], "wide");
  EXPECT_LE(pool_.most_threads, 2);
}

TEST_F(SchedulerTest, ATaskThatWantsMoreThanThereIsGetsAll) {
  Scheduler scheduler = Make(2);
  scheduler.Add(Named("wide", 16));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(pool_.submitted[0]["threads"], 2);
}

TEST_F(SchedulerTest, ATaskTakesWhatIsFreeUpToItsMost) {
  Scheduler scheduler = Make(4);
  scheduler.Add(Named("a"));
  Task wide = Named("wide");
  wide.max_slots = 8;
  scheduler.Add(std::move(wide));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(pool_.submitted[1]["threads"], 3);
}

TEST_F(SchedulerTest, TasksMayAddTasks) {
  Scheduler scheduler = Make(1);
  Task first = Named("first");
  first.on_done = [&](const Json&) {
    scheduler.Add(Named("second"));
    return Status::OK();
  };
  scheduler.Add(std::move(first));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_, std::vector<std::string>{"second"});
}

TEST_F(SchedulerTest, WhatRunsInTheBackgroundTakesNoSlotAndEndsBeforeTheRun) {
  Scheduler scheduler = Make(1);
  for (const char* name : {"sync0", "sync1"}) {
    Task sync = Named(name);
    sync.background = true;
    scheduler.Add(std::move(sync));
  }
  for (int i = 0; i < 3; ++i) scheduler.Add(Named("t" + std::to_string(i)));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_, (std::vector<std::string>{"t0", "sync0", "t1", "sync1", "t2"}));
  EXPECT_EQ(pool_.most_running, 2u);
  EXPECT_EQ(scheduler.busy_slots(), 0);
}

TEST_F(SchedulerTest, ASyncThatFailsFailsTheRun) {
  pool_.failing = {"sync"};
  Scheduler scheduler = Make(1);
  Task sync = Named("sync");
  sync.background = true;
  scheduler.Add(std::move(sync));
  EXPECT_FALSE(scheduler.Run().ok());
}

TEST_F(SchedulerTest, ALostWorkersTaskIsStartedOnceMore) {
  pool_.deaths["a"] = 1;
  Scheduler scheduler = Make(1);
  scheduler.Add(Named("a"));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_, std::vector<std::string>{"a"});
  EXPECT_EQ(pool_.submitted.size(), 2u);
  EXPECT_NE(pool_.submitted[0]["id"], pool_.submitted[1]["id"]);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(SchedulerTest, ATaskThatLosesTwoWorkersEndsTheRun) {
  pool_.deaths["a"] = 2;
  Scheduler scheduler = Make(1);
  scheduler.Add(Named("a"));
  scheduler.Add(Named("b"));
  const Status status = scheduler.Run();
  EXPECT_EQ(FaultOf(status), Fault::kWorkerDied);
  EXPECT_TRUE(done_.empty());
}

TEST_F(SchedulerTest, AfterAFailureWhatRunsFinishesAndNothingStarts) {
  pool_.failing = {"bad", "worse"};
  Scheduler scheduler = Make(3);
  scheduler.Add(Named("bad"));
  scheduler.Add(Named("worse"));
  scheduler.Add(Named("good"));
  scheduler.Add(Named("never"));
  const Status status = scheduler.Run();
  EXPECT_EQ(status.message(), Fail(Fault::kUserCode, "bad raised").message());
  EXPECT_EQ(done_, std::vector<std::string>{"good"});
  EXPECT_EQ(pool_.submitted.size(), 3u);
}

TEST_F(SchedulerTest, AWorkerThatDiesAfterTheFailureIsNotReplaced) {
  pool_.failing = {"bad"};
  pool_.deaths["b"] = 1;
  Scheduler scheduler = Make(2);
  scheduler.Add(Named("bad"));
  scheduler.Add(Named("b"));
  EXPECT_EQ(FaultOf(scheduler.Run()), Fault::kUserCode);
  EXPECT_EQ(pool_.submitted.size(), 2u);
}

TEST_F(SchedulerTest, AnErrorOfAContinuationEndsTheRun) {
  Scheduler scheduler = Make(1);
  Task task = Named("a");
  task.on_done = [](const Json&) { return Fail(Fault::kStorage, "disk full"); };
  scheduler.Add(std::move(task));
  scheduler.Add(Named("b"));
  EXPECT_EQ(FaultOf(scheduler.Run()), Fault::kStorage);
  EXPECT_TRUE(done_.empty());
}

TEST_F(SchedulerTest, ASignalEndsTheRunAtOnceAndCancelKillsWhatRuns) {
  pool_.interrupt_after = 0;
  Scheduler scheduler = Make(2);
  scheduler.Add(Named("a"));
  scheduler.Add(Named("b"));
  EXPECT_EQ(FaultOf(scheduler.Run()), Fault::kInterrupted);
  scheduler.Cancel();
  EXPECT_EQ(pool_.cancelled.size(), 2u);
  EXPECT_EQ(scheduler.running(), 0);
}

TEST_F(SchedulerTest, ErrorsAfterTheFirstAreLoggedAndTheRetryNamesStageAndPartition) {
  pool_.failing = {"bad", "worse"};
  pool_.deaths["lost"] = 1;
  Scheduler scheduler = Make(3);
  Task lost = Named("lost");
  lost.partition = 7;
  scheduler.Add(std::move(lost));
  scheduler.Add(Named("bad"));
  scheduler.Add(Named("worse"));
  EXPECT_FALSE(scheduler.Run().ok());
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("lost, partition 7: "), std::string::npos) << warnings_[0];
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_NE(log_[0].find("worse raised"), std::string::npos) << log_[0];
}

TEST_F(SchedulerTest, AWideTaskWaitsForABriefOneOnly) {
  Scheduler scheduler = Make(2);
  Task brief = Named("brief");
  brief.brief = true;
  scheduler.Add(std::move(brief));
  Task wide = Named("wide");
  wide.max_slots = 2;
  scheduler.Add(std::move(wide));
  scheduler.Add(Named("long"));
  Task other = Named("other");
  other.max_slots = 2;
  scheduler.Add(std::move(other));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(pool_.submitted[1]["threads"], 2);
  EXPECT_EQ(pool_.submitted[3]["threads"], 1);
}

TEST_F(SchedulerTest, ATasksOwnThreadsDoNotDependOnItsCores) {
  Scheduler scheduler = Make(8);
  scheduler.Add(Named("a", 2));
  Task once = Named("once");
  once.min_slots = 6;
  once.max_slots = once.threads = 8;
  scheduler.Add(std::move(once));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(pool_.most_running, 2U);
  EXPECT_EQ(pool_.submitted[1]["threads"], 8);
}

TEST_F(SchedulerTest, MessagesAreMadeWhenTheirTasksStart) {
  Scheduler scheduler = Make(1);
  int made = 0;
  for (int i = 0; i < 3; ++i) {
    Task task;
    task.node = "a";
    task.make_message = [&made] {
      ++made;
      return Json{{"kind", "test"}, {"name", "a"}};
    };
    task.on_done = [&made, i](const Json&) {
      EXPECT_EQ(made, i + 1);
      return Status::OK();
    };
    scheduler.Add(std::move(task));
  }
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(records_.size(), 3U);
  EXPECT_EQ(records_[0].kind, "test");
}

// The limit is 100 bytes; the tasks that run use what the pool says.
class MemoryGuardTest : public SchedulerTest {
 protected:
  Scheduler Guarded(int slots) {
    SchedulerOptions options;
    options.memory = [this] {
      MemoryReading reading{base_, 100};
      for (const Json& one : pool_.running) reading.used_bytes += pool_.bytes[one["name"]];
      return reading;
    };
    return Make(slots, options);
  }
  int64_t base_ = 0;
};

TEST_F(MemoryGuardTest, StartsOneAtATimeWhileMemoryIsShort) {
  base_ = 85;
  pool_.idle_workers = 1;
  Scheduler scheduler = Guarded(4);
  for (const char* name : {"a", "b", "c"}) scheduler.Add(Named(name));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(pool_.most_running, 1U);
  EXPECT_LE(pool_.idle_workers, 0) << "idle ones were asked to leave";
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(MemoryGuardTest, EndsTheLargestAndRunsItAgainAlone) {
  pool_.bytes = {{"a", 20}, {"big", 60}, {"c", 20}};
  pool_.endless = {"a", "c", "big"};
  Scheduler scheduler = Guarded(3);
  for (const char* name : {"a", "big", "c"}) {
    Task task = Named(name);
    task.partition = 1;
    scheduler.Add(std::move(task));
  }
  scheduler.Add(Named("last"));
  // Once it has been ended the others end by themselves.
  pool_.on_end = [this] { pool_.endless.clear(); };
  ASSERT_TRUE(scheduler.Run().ok());
  ASSERT_EQ(pool_.ended.size(), 1U);
  EXPECT_EQ(pool_.ended.begin()->first, 2);
  ASSERT_EQ(pool_.submitted.size(), 5U);
  EXPECT_EQ(pool_.submitted[3]["name"], "big") << "before what waited behind it";
  EXPECT_EQ(done_, (std::vector<std::string>{"a", "c", "big", "last"})) << "alone";
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("big, partition 1"), std::string::npos) << warnings_[0];
}

TEST_F(MemoryGuardTest, ATaskThatIsTooLargeAloneIsAnErrorThatNamesIt) {
  pool_.bytes = {{"big", 95}};
  pool_.endless = {"big"};
  Scheduler scheduler = Guarded(2);
  Task big = Named("big");
  big.partition = 4;
  scheduler.Add(std::move(big));
  const std::string text = FormatForUser(scheduler.Run());
  EXPECT_NE(text.find("more memory than there is"), std::string::npos) << text;
  EXPECT_NE(text.find("stage big, partition 4"), std::string::npos) << text;
  EXPECT_EQ(pool_.submitted.size(), 1U);
}

TEST_F(MemoryGuardTest, LeavesTasksAloneWhereOthersHoldTheMemory) {
  base_ = 97;
  pool_.bytes = {{"a", 1}};
  Scheduler scheduler = Guarded(2);
  scheduler.Add(Named("a"));
  EXPECT_TRUE(scheduler.Run().ok());
  EXPECT_TRUE(pool_.ended.empty());
}

TEST_F(SchedulerTest, WhatTheKernelEndedForMemoryStartsAgainAlone) {
  pool_.deaths["a"] = 1;
  pool_.out_of_memory = true;
  Scheduler scheduler = Make(2);
  for (const char* name : {"a", "b", "c"}) scheduler.Add(Named(name));
  ASSERT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(done_, (std::vector<std::string>{"b", "a", "c"}));
}

TEST_F(SchedulerTest, ATaskThatTakesTooLongIsEndedAndTriedOnceMore) {
  pool_.endless = {"slow"};
  Scheduler scheduler = Make(1);
  Task slow = Named("slow");
  slow.timeout_ms = 1;
  scheduler.Add(std::move(slow));
  const Status status = scheduler.Run();
  EXPECT_EQ(FaultOf(status), Fault::kWorkerDied);
  EXPECT_NE(status.message().find("took longer than the 0.001 seconds"), std::string::npos)
      << status;
  EXPECT_EQ(pool_.submitted.size(), 2U);
}

TEST_F(SchedulerTest, ATaskThatDoesNothingIsEnded) {
  pool_.endless = {"stuck"};
  SchedulerOptions options;
  options.idle_limit_ms = 20;
  Scheduler scheduler = Make(1, options);
  scheduler.Add(Named("stuck"));
  const Status status = scheduler.Run();
  EXPECT_NE(status.message().find("used no CPU and said nothing"), std::string::npos) << status;
  EXPECT_EQ(pool_.submitted.size(), 2U);
}

class MapRunTest : public SchedulerTest {};

Json MapJson(const std::string& mode) {
  return {{"mode", mode},
          {"items", {"/t/0.pkl", "/t/1.pkl", "/t/2.pkl"}},
          {"function", {{"cloudpickle", "/t/fn.pkl"}}},
          {"dir", "/t/out"}};
}

TEST_F(MapRunTest, EachFileOfItemsIsATaskAndACommitFollows) {
  const MapRequest request = MapRequestFromJson(MapJson("items")).ValueOrDie();
  Scheduler scheduler = Make(2);
  int64_t last = 0;
  ASSERT_TRUE(RunMap(request, &scheduler, [&](int64_t done, int64_t) { last = done; }).ok());
  ASSERT_EQ(pool_.submitted.size(), 4u);
  EXPECT_EQ(pool_.submitted[1]["inputs"][0]["path"], "/t/1.pkl");
  EXPECT_EQ(pool_.submitted[1]["outputs"][0]["part"], 1);
  EXPECT_EQ(pool_.submitted[3]["kind"], "commit");
  EXPECT_EQ(pool_.submitted[3]["commit"]["expected_parts"], 3);
  EXPECT_EQ(pool_.starts[0], Start::kFork);
  EXPECT_EQ(pool_.starts[3], Start::kNative);
  EXPECT_EQ(last, 3);
}

TEST_F(MapRunTest, ARequestWithoutKeyOrRowsIsRefused) {
  EXPECT_FALSE(MapRequestFromJson(MapJson("partition")).ok());
  EXPECT_FALSE(MapRequestFromJson(MapJson("rows")).ok());
  EXPECT_FALSE(MapRequestFromJson(MapJson("once")).ok());
}

TEST(SharedWorkTest, StartsOnceAndGoesOnWithAllThatWait) {
  SharedWork work;
  int started = 0, woken = 0;
  const auto start = [&] {
    ++started;
    return Status::OK();
  };
  const auto then = [&] {
    ++woken;
    return Status::OK();
  };
  ASSERT_TRUE(work.Ensure("x", start, then).ok());
  ASSERT_TRUE(work.Ensure("x", start, then).ok());
  EXPECT_EQ(woken, 0);
  ASSERT_TRUE(work.Finish("x").ok());
  EXPECT_EQ(woken, 2);
  ASSERT_TRUE(work.Ensure("x", start, then).ok());
  EXPECT_EQ(started, 1);
  EXPECT_EQ(woken, 3);
}

}  // namespace
}  // namespace hayate::job
