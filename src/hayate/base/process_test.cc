#include "hayate/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "hayate/base/oom.h"

namespace hayate {
namespace {

struct Output {
  std::string text;
  ExitReport report;
};

// Runs a shell command with its standard output in a pipe.
Output RunShell(const std::string& command, SpawnOptions options = {}) {
  Output output;
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const FileDescriptor read_end(fds[0]);
  FileDescriptor write_end(fds[1]);
  options.argv = {"sh", "-c", command};
  options.descriptors.push_back({write_end.get(), STDOUT_FILENO});
  const auto process = Spawn(options);
  EXPECT_TRUE(process.ok()) << process.status();
  write_end.Reset();
  if (!process.ok()) return output;
  char buffer[4096];
  for (ssize_t count = 1; count > 0;) {
    count = read(read_end.get(), buffer, sizeof(buffer));
    if (count > 0) output.text.append(buffer, static_cast<size_t>(count));
  }
  const auto report = Reap(process->pid);
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) output.report = *report;
  return output;
}

TEST(ProcessTest, GivesTheChildItsEnvironmentAndDirectory) {
  const Output output = RunShell("echo $HAYATE_X; pwd",
                                 {.environment = {{"HAYATE_X", "a b"}}, .working_directory = "/"});
  EXPECT_EQ(output.text, "a b\n/\n");
  EXPECT_TRUE(output.report.clean());
  EXPECT_GT(output.report.max_rss_bytes, 0);
}

TEST(ProcessTest, PlacesDescriptorsAlsoWhereTheirNumbersOverlap) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const FileDescriptor read_end(fds[0]);
  const FileDescriptor write_end(fds[1]);
  // Each becomes the other's number: one by one they would overwrite each other.
  const std::string command = "echo x >&" + std::to_string(fds[0]) + "; read -r line <&" +
                              std::to_string(fds[1]) + "; echo got $line";
  const Output output = RunShell(command, {.descriptors = {{fds[0], fds[1]}, {fds[1], fds[0]}}});
  EXPECT_EQ(output.text, "got x\n");
}

TEST(ProcessTest, GivesTheChildNothingElseOfOurs) {
  const FileDescriptor secret(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Output output =
      RunShell("test -e /proc/self/fd/" + std::to_string(secret.get()) + " && echo open; cat");
  EXPECT_EQ(output.text, "") << "and standard input is empty";
}

TEST(ProcessTest, NamesAProgramThatCannotBeRun) {
  const auto process = Spawn({.argv = {"/no/such/program"}});
  ASSERT_FALSE(process.ok());
  EXPECT_EQ(FaultDetail::Get(process.status())->where().object, "/no/such/program");
  EXPECT_EQ(PeekEndedChild(), -1) << "nothing is left to reap";
  EXPECT_FALSE(Spawn({.argv = {"sh"}, .working_directory = "/no/such/directory"}).ok());
  EXPECT_FALSE(Spawn({}).ok());
}

TEST(ProcessTest, SaysHowAProcessEnded) {
  EXPECT_EQ(RunShell("exit 3").report.ToString(), "left with exit code 3");
  EXPECT_EQ(RunShell("kill -KILL $$").report.ToString(), "was killed by SIGKILL");
}

TEST(ProcessTest, StartsChildrenInAGroupOfTheirOwnWithDefaultSignals) {
  const auto process = Spawn({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(getpgid(process->pid), process->pid);
  EXPECT_EQ(ChildrenOf(getpid()), std::vector<pid_t>{process->pid});
  ASSERT_EQ(kill(-process->pid, SIGTERM), 0);
  const auto report = Reap(process->pid);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->signal, SIGTERM);
  EXPECT_TRUE(ChildrenOf(getpid()).empty());
}

TEST(ProcessTest, RaisesTheScoreOfTheOomKiller) {
  const auto own = std::stoi(RunShell("cat /proc/self/oom_score_adj").text);
  const auto raised =
      std::stoi(RunShell("cat /proc/self/oom_score_adj", {.oom_score_raise = 50}).text);
  EXPECT_EQ(raised, std::min(1000, own + 50));
}

TEST(ProcessTest, CannotReapWhatIsNoChild) { EXPECT_FALSE(Reap(1).ok()); }

TEST(OomTest, CountsNeverLess) {
  const int64_t before = CountOomKills();
  EXPECT_GE(before, 0);
  EXPECT_GE(CountOomKills(), before);
}

}  // namespace
}  // namespace hayate
