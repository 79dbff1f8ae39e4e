// The pool with the real zygote (python/hayate/zygote.py) and a small Python worker in place of the
// real one, so that no package but the standard library is needed.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "hayate/worker/channel.h"
#include "hayate/worker/pool_test_internal.h"

namespace hayate::worker {
namespace {

constexpr const char* kWorker = R"(
import os, random, signal, subprocess, sys
from hayate.protocol import Channel, hello

def main():
    channel = Channel.from_environment()
    channel.send(hello("python"))
    while True:
        task = channel.receive()
        if task is None or task["type"] == "exit":
            return 0
        how = task["how"]
        print("does", how)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "kill-zygote":
            os.kill(int(task["pid"]), signal.SIGKILL)
        if how == "hang":
            signal.pause()
        result = {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0),
                  "random": random.random(), "modules": sorted(sys.modules),
                  "omp": os.environ.get("OMP_NUM_THREADS"), "fd": os.environ.get("HAYATE_FD"),
                  "oom": open("/proc/self/oom_score_adj").read().strip()}
        channel.send({"type": "done", "task": task["id"], "result": result})

if __name__ == "__main__":
    sys.exit(main())
)";

class ZygoteTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "hayate-zygote-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    Write("hayate/__init__.py", "");
    Write("hayate/worker.py", kWorker);
    for (const char* file : {"protocol.py", "errors.py", "zygote.py"}) {
      std::filesystem::create_symlink(std::filesystem::path(HAYATE_PYTHON_DIR) / file,
                                      root_ / "hayate" / file);
    }
  }

  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }

  PoolOptions Options(std::vector<std::string> preload = {}) const {
    PoolOptions options;
    options.python = "/usr/bin/env";
    options.preload = std::move(preload);
    options.environment = {{"PYTHONPATH", root_.string()}};
    // A wrapper, because the fake worker is what TestPool would take for "python3".
    Write("python", "#!/bin/sh\nexec python3 \"$@\"\n");
    std::filesystem::permissions(root_ / "python", std::filesystem::perms::owner_all);
    options.python = (root_ / "python").string();
    return options;
  }

  std::filesystem::path root_;
};

TEST_F(ZygoteTest, ForksWorkersThatAreOurOwnChildren) {
  TestPool test(Options({"decimal"}));
  const Event first = test.Run(Start::kFork, "");
  ASSERT_EQ(first.kind, Event::Kind::kDone) << first.status;
  const Json& result = first.body["result"];
  EXPECT_EQ(result["parent"], getpid());
  EXPECT_EQ(result["group"], result["pid"]);
  EXPECT_EQ(result["omp"], "1");
  EXPECT_EQ(result["fd"], Json()) << "user code's processes do not inherit the channel";
  EXPECT_TRUE(std::stoi(result["oom"].get<std::string>()) > 0);
  bool preloaded = false;
  for (const Json& module : result["modules"]) preloaded = preloaded || module == "decimal";
  EXPECT_TRUE(preloaded);
  EXPECT_EQ(test.Run(Start::kFork, "").body["result"]["pid"], result["pid"]);
  EXPECT_TRUE(test.LogHas("features/3: does ")) << "prints arrive";
  EXPECT_TRUE(test.pool->Shutdown(kPatienceMs).ok());
}

TEST_F(ZygoteTest, GivesEachWorkerItsOwnRandomNumbers) {
  TestPool test(Options());
  ASSERT_TRUE(test.Submit(Start::kFork, 101, "hang").ok());
  const Event first = test.Run(Start::kFork, "");
  ASSERT_TRUE(test.Submit(Start::kFork, 102, "hang").ok());
  const Event second = test.Run(Start::kFork, "");
  EXPECT_NE(first.body["result"]["pid"], second.body["result"]["pid"]);
  EXPECT_NE(first.body["result"]["random"], second.body["result"]["random"]);
}

TEST_F(ZygoteTest, NoticesAKilledForkedWorker) {
  TestPool test(Options());
  const Event event = test.Run(Start::kFork, "kill");
  ASSERT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_EQ(event.body["signal"], SIGKILL);
  EXPECT_TRUE(test.LogHas("does kill"));
  EXPECT_EQ(test.Run(Start::kFork, "").kind, Event::Kind::kDone);
}

TEST_F(ZygoteTest, StartsAnotherZygoteWhenItDies) {
  TestPool test(Options());
  ASSERT_TRUE(test.pool->WarmUp().ok());
  const auto zygote = test.pool->pids();
  ASSERT_EQ(zygote.size(), 1U);
  ASSERT_EQ(test.Run(Start::kFork, "").kind, Event::Kind::kDone);
  Json task = TestPool::Task(50, "kill-zygote");
  task["pid"] = zygote[0];
  ASSERT_TRUE(test.pool->Submit(Start::kFork, task).ok());
  EXPECT_EQ(test.Next().kind, Event::Kind::kDone);
  // The one worker is kept busy, so the next task needs a fork.
  ASSERT_TRUE(test.Submit(Start::kFork, 51, "hang").ok());
  ASSERT_TRUE(test.Submit(Start::kFork, 52, "").ok());
  const Event event = test.Next();
  EXPECT_EQ(event.task, 52);
  EXPECT_EQ(event.kind, Event::Kind::kDone) << event.status;
  EXPECT_TRUE(test.LogHas("the zygote was killed by SIGKILL"));
}

TEST_F(ZygoteTest, LeavesOutAModuleThatLeavesThreads) {
  Write("threaded.py",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n");
  TestPool test(Options({"decimal", "threaded", "no_such_module"}));
  const Event event = test.Run(Start::kFork, "");
  ASSERT_EQ(event.kind, Event::Kind::kDone) << event.status;
  bool decimal = false;
  for (const Json& module : event.body["result"]["modules"]) {
    EXPECT_NE(module, "threaded");
    decimal = decimal || module == "decimal";
  }
  EXPECT_TRUE(decimal);
  EXPECT_TRUE(test.LogHas("module threaded leaves 1 threads"));
}

TEST_F(ZygoteTest, TakesOtherModulesAfterAChange) {
  TestPool test(Options());
  ASSERT_EQ(test.Run(Start::kFork, "").kind, Event::Kind::kDone);
  test.pool->set_preload({"decimal"});
  ASSERT_TRUE(test.Submit(Start::kFork, 51, "hang").ok());
  const Event event = test.Run(Start::kFork, "");
  bool decimal = false;
  for (const Json& module : event.body["result"]["modules"]) {
    decimal = decimal || module == "decimal";
  }
  EXPECT_TRUE(decimal);
}

// The worker talks nonsense before the zygote has said its pid, then the zygote is gone.
TEST_F(ZygoteTest, TellsOfATaskWhoseWorkerIsLostWhileItIsForked) {
  std::filesystem::remove(root_ / "hayate/zygote.py");
  Write("hayate/zygote.py", R"(
import os, sys
from hayate.protocol import Channel, hello
channel = Channel.from_environment()
channel.send(hello("zygote", threaded={}, failed={}))
message, fds = channel.receive_with_fds()
if not fds:
    sys.exit(0)
os.write(fds[0], b"\x05\0\0\0{{{{{")
channel.receive_with_fds()
)");
  PoolOptions options = Options();
  options.hello_timeout_ms = 500;
  TestPool test(options);
  ASSERT_TRUE(test.Submit(Start::kFork, 1, "").ok());
  ASSERT_TRUE(test.Submit(Start::kFork, 2, "").ok());
  const Event event = test.Next();
  EXPECT_EQ(event.task, 1);
  EXPECT_EQ(event.kind, Event::Kind::kDied);
  EXPECT_NE(FormatForUser(event.status).find("fix:"), std::string::npos) << event.status;
}

TEST_F(ZygoteTest, EndsForkedWorkersWhenTheSupervisorIsKilled) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    TestPool test(Options());
    if (!test.Submit(Start::kFork, 1, "hang").ok()) _exit(1);
    while (!test.LogHas("does hang")) {
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
