#include "hayate/worker/line_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hayate::worker {
namespace {

std::vector<std::string> Split(const std::vector<std::string>& pieces) {
  std::vector<std::string> lines;
  const auto sink = [&lines](std::string_view line) { lines.emplace_back(line); };
  LineSplitter splitter;
  for (const std::string& piece : pieces) splitter.Add(piece, sink);
  splitter.Finish(sink);
  return lines;
}

TEST(LineSplitterTest, JoinsPiecesOfALine) {
  EXPECT_EQ(Split({"a", "b\nc", "\n\nd"}), (std::vector<std::string>{"ab", "c", "", "d"}));
}

TEST(LineSplitterTest, DropsACarriageReturnAtTheEnd) {
  EXPECT_EQ(Split({"a\r\nb\rc\n"}), (std::vector<std::string>{"a", "b\rc"}));
}

TEST(LineSplitterTest, CutsALineThatNeverEnds) {
  const size_t most = LineSplitter::kMaxLineBytes;
  const auto lines = Split({std::string(most - 1, 'x'), std::string(most + 2, 'y'), "\nz"});
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0].size(), most);
  EXPECT_EQ(lines[1].size(), most);
  EXPECT_EQ(lines[2].size(), 1U);
  EXPECT_EQ(lines[3], "z");
}

TEST(LineSplitterTest, TakesALineOfExactlyTheLimitWhole) {
  const auto lines = Split({std::string(LineSplitter::kMaxLineBytes, 'x') + "\n"});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].size(), LineSplitter::kMaxLineBytes);
}

}  // namespace
}  // namespace hayate::worker
