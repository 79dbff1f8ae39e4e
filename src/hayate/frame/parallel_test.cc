#include "hayate/frame/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace hayate::frame {
namespace {

TEST(ParallelFor, CallsEachIndexOnce) {
  for (const int threads : {0, 1, 3, 100}) {
    std::vector<std::atomic<int>> calls(50);
    ASSERT_TRUE(ParallelFor(50, threads, [&](int64_t i) {
                  ++calls[static_cast<size_t>(i)];
                  return Status::OK();
                }).ok());
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
  EXPECT_TRUE(ParallelFor(0, 4, [](int64_t) { return Status::Invalid("never"); }).ok());
}

TEST(ParallelFor, ReturnsTheErrorAndStops) {
  std::atomic<int64_t> begun = 0;
  const Status status = ParallelFor(100000, 4, [&](int64_t i) {
    ++begun;
    return i >= 10 ? Status::Invalid(std::to_string(i)) : Status::OK();
  });
  EXPECT_FALSE(status.ok());
  EXPECT_LT(begun, 1000);
}

}  // namespace
}  // namespace hayate::frame
