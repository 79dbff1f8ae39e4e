#include "hayate/observe/stage_line.h"

#include <gtest/gtest.h>

namespace hayate::observe {
namespace {

TEST(StageLineTest, CountsTheFractionByBytesBeforeTasks) {
  EXPECT_EQ(FractionDone({}), std::nullopt);
  EXPECT_EQ(FractionDone({.tasks_done = 1, .tasks_total = 4}), 0.25);
  EXPECT_EQ(FractionDone({.tasks_done = 1, .tasks_total = 4, .bytes_read = 5, .bytes_total = 10}),
            0.5);
  EXPECT_EQ(FractionDone({.bytes_read = 15, .bytes_total = 10}), 1.0) << "a file that grew";
}

TEST(StageLineTest, ForecastsOnlyWhenItKnowsSomething) {
  const StageState half{.tasks_done = 2, .tasks_total = 4};
  EXPECT_EQ(SecondsLeft(half, 1.0), std::nullopt) << "too early";
  EXPECT_EQ(SecondsLeft(half, 10.0), 10.0);
  EXPECT_EQ(SecondsLeft({.tasks_done = 0, .tasks_total = 4}, 10.0), std::nullopt);
}

TEST(StageLineTest, SaysWhatIsKnown) {
  const StageState state{.name = "features",
                         .tasks_done = 12,
                         .tasks_total = 48,
                         .rows = 1'234'567,
                         .text_bytes = 850'000'000};
  EXPECT_EQ(RunningLine(state, 10, 1.94, ", "),
            "12/48 tasks, 1.2M rows, 85 MB/s, 1.9 cores, 0:30 left");
  EXPECT_EQ(RunningLine({.name = "model", .tasks_total = 1}, 5, -1, ", "), "0:05");
  EXPECT_EQ(EndLine(state, 12.34, "done"), "done in 12.3 s, 48 tasks, 1.2M rows");
}

TEST(StageLineTest, WritesNumbersShort) {
  EXPECT_EQ(ShortCount(0), "0");
  EXPECT_EQ(ShortCount(999), "999");
  EXPECT_EQ(ShortCount(1000), "1.0k");
  EXPECT_EQ(ShortCount(999'949), "999.9k");
  EXPECT_EQ(ShortCount(999'960), "1.0M");
  EXPECT_EQ(ShortCount(5'600'000'000), "5.6G");
  EXPECT_EQ(ShortTime(42), "0:42");
  EXPECT_EQ(ShortTime(3723), "1:02:03");
  EXPECT_EQ(ShortTime(-1), "0:00");
}

TEST(StageLineTest, MeasuresWideAndBrokenCharacters) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("はやて"), 6);
  EXPECT_EQ(DisplayWidth("é"), 1);
  EXPECT_EQ(DisplayWidth("\xff\xe3"), 2) << "each broken byte is one character";
}

TEST(StageLineTest, BarShowsThePartThatIsDoneAndIsFullOnlyAtTheEnd) {
  EXPECT_EQ(Bar({.tasks_done = 1, .tasks_total = 2}), "██████░░░░░░");
  EXPECT_EQ(Bar({.tasks_done = 999, .tasks_total = 1000}), "███████████░");
  EXPECT_EQ(Bar({.bytes_read = 7, .bytes_total = 7}), "████████████");
  EXPECT_EQ(Bar({.tasks_total = 1}), "            ");
}

TEST(StageLineTest, CutsBetweenCharacters) {
  EXPECT_EQ(FitTo("はやて", 5), "はや");
  EXPECT_EQ(FitTo("a\tb\x1b[2J", 10), "a b [2J");
  EXPECT_EQ(FitTo("abc", 3), "abc");
  EXPECT_EQ(FitTo("abc", 0), "");
}

}  // namespace
}  // namespace hayate::observe
