#include "hayate/observe/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "hayate/observe/cpu_sampler.h"

namespace hayate::observe {
namespace {

// A screen that understands what LiveLines writes.
class Screen {
 public:
  void Write(std::string_view text) {
    while (!text.empty()) {
      if (text[0] == '\x1b') {
        const size_t end = text.find_first_of("FJ");
        ASSERT_NE(end, std::string_view::npos);
        if (text[end] == 'F') row_ -= static_cast<size_t>(std::stoi(std::string(text.substr(2))));
        if (text[end] == 'J') lines_.resize(row_);
        text.remove_prefix(end + 1);
        continue;
      }
      const size_t end = text.find('\n');
      ASSERT_NE(end, std::string_view::npos) << "only whole lines are written";
      lines_.resize(std::max(lines_.size(), row_ + 1));
      lines_[row_++] = text.substr(0, end);
      text.remove_prefix(end + 1);
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
  size_t row_ = 0;
};

struct Fixture {
  Screen screen;
  std::chrono::steady_clock::time_point now{};
  int columns = 80;
  std::unique_ptr<Progress> progress;

  explicit Fixture(ProgressMode mode) {
    progress = std::make_unique<Progress>(
        ProgressOptions{.mode = mode,
                        .write = [this](std::string_view text) { screen.Write(text); },
                        .columns = [this] { return columns; },
                        .now = [this] { return now; }});
  }
  void After(int milliseconds) {
    now += std::chrono::milliseconds(milliseconds);
    progress->Tick();
  }
};

using Lines = std::vector<std::string>;

TEST(ProgressTest, DrawsOneLiveLineForEachRunningStage) {
  Fixture test(ProgressMode::kTerminal);
  test.progress->Update({.name = "clicks", .rows = 5});
  test.progress->Update({.name = "a", .tasks_done = 1, .tasks_total = 2});
  test.After(100);
  EXPECT_EQ(test.screen.lines(),
            (Lines{"clicks                5 rows  0:00", "a       ██████░░░░░░  1/2 tasks  0:00"}));
  test.progress->Update({.name = "clicks", .rows = 9});
  test.After(50);
  EXPECT_EQ(test.screen.lines()[0], "clicks                5 rows  0:00")
      << "at most 10 times a second";
  test.After(50);
  EXPECT_EQ(test.screen.lines()[0], "clicks                9 rows  0:00");
  EXPECT_EQ(test.screen.lines().size(), 2U);
}

TEST(ProgressTest, LeavesALineForEachStageThatEnds) {
  Fixture test(ProgressMode::kTerminal);
  test.progress->Update({.name = "clicks", .rows = 5});
  test.progress->Update({.name = "b", .rows = 1});
  test.After(1000);
  test.progress->Finish("clicks", "done");
  test.progress->Say("b: a warning");
  EXPECT_EQ(test.screen.lines(), (Lines{"clicks  done in 1.0 s, 5 rows", "b: a warning",
                                        "b                     1 rows  0:01"}));
  test.progress.reset();
  EXPECT_EQ(test.screen.lines(), (Lines{"clicks  done in 1.0 s, 5 rows", "b: a warning"}))
      << "the terminal is left clean";
}

TEST(ProgressTest, CutsLiveLinesToTheTerminal) {
  Fixture test(ProgressMode::kTerminal);
  test.columns = 10;
  test.progress->Update({.name = "a_long_name", .rows = 5});
  test.After(100);
  EXPECT_EQ(test.screen.lines(), Lines{"a_long_na"});
}

TEST(ProgressTest, PrintsALineEveryTenSecondsIntoALog) {
  Fixture test(ProgressMode::kLog);
  test.progress->set_cores_busy(2);
  test.progress->Update({.name = "a", .tasks_done = 1, .tasks_total = 2});
  test.After(9'999);
  EXPECT_TRUE(test.screen.lines().empty());
  test.After(1);
  test.After(5'000);
  EXPECT_EQ(test.screen.lines(), Lines{"hayate: a: 1/2 tasks, 2.0 cores, 0:10 left"});
  test.progress->Finish("a", "failed");
  EXPECT_EQ(test.screen.lines()[1], "hayate: a: failed in 15.0 s, 2 tasks");
  test.progress->Finish("a", "failed");
  EXPECT_EQ(test.screen.lines().size(), 2U) << "once";
}

TEST(ProgressTest, SaysOnlyWhatItIsToldWhenQuiet) {
  Fixture test(ProgressMode::kQuiet);
  test.progress->Update({.name = "a"});
  test.After(20'000);
  test.progress->Finish("a", "done");
  test.progress->Say("x");
  EXPECT_EQ(test.screen.lines(), Lines{"x"});
}

TEST(CpuSamplerTest, SeesTheWorkOfThisProcess) {
  CpuSampler sampler;
  const auto start = std::chrono::steady_clock::now();
  volatile uint64_t sum = 0;
  while (sampler.CpuSeconds({}) < 0.05) sum = sum + 1;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  EXPECT_GE(wall.count(), 0.04);
  EXPECT_EQ(sampler.CoresBusy({}), 0) << "nothing is said in the first half second";
  EXPECT_GE(sampler.CpuSeconds({-1}), 0.05) << "a process that is gone counts nothing";
}

}  // namespace
}  // namespace hayate::observe
