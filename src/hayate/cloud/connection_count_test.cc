#include "hayate/cloud/connection_count.h"

#include <gtest/gtest.h>

namespace hayate::cloud {
namespace {

// A network on which each connection brings the same, up to what the whole can carry.
double Carried(const ConnectionCount& count, double whole) {
  return std::min(static_cast<double>(count.count()), whole);
}

void Measure(ConnectionCount* count, double whole, int times) {
  for (int i = 0; i < times; ++i) count->Measured(Carried(*count, whole));
}

TEST(ConnectionCountTest, DoublesWhileThatBringsMore) {
  ConnectionCount count(4, 8, 64);
  EXPECT_EQ(count.count(), 8);
  Measure(&count, 1000, 1);
  EXPECT_EQ(count.count(), 16);
  Measure(&count, 1000, 1);
  EXPECT_EQ(count.count(), 32);
  Measure(&count, 1000, 100);
  EXPECT_EQ(count.count(), 64) << "and not beyond the most";
}

TEST(ConnectionCountTest, StaysWithMoreWhereTheLineIsFull) {
  ConnectionCount count(4, 8, 64);
  Measure(&count, 16, 100);
  EXPECT_EQ(count.count(), 64);
}

TEST(ConnectionCountTest, GoesBackToWhereMoreBringsLess) {
  ConnectionCount count(4, 8, 64);
  // Up to 16 help, more are in each other's way.
  const auto crowded = [&] { return count.count() <= 16 ? count.count() : 14.0; };
  for (int i = 0; i < 2; ++i) count.Measured(crowded());
  EXPECT_EQ(count.count(), 32) << "it tries";
  count.Measured(crowded());
  EXPECT_EQ(count.count(), 16) << "and goes back";
  for (int i = 0; i < 20; ++i) {
    count.Measured(crowded());
    EXPECT_EQ(count.count(), 16) << "and stays for a while: measurement " << i;
  }
  Measure(&count, 1000, 3);
  EXPECT_EQ(count.count(), 64) << "a network that has become better is found";
}

TEST(ConnectionCountTest, IsHalvedOnceForOneComplaintOfMany) {
  ConnectionCount count(4, 64, 64);
  for (int i = 0; i < 50; ++i) count.TooMany();
  EXPECT_EQ(count.count(), 32);
  Measure(&count, 1000, 1);
  count.TooMany();
  count.TooMany();
  EXPECT_EQ(count.count(), 16);
  for (int i = 0; i < 10; ++i) {
    Measure(&count, 1000, 1);
    count.TooMany();
  }
  EXPECT_EQ(count.count(), 4) << "not below the least";
}

TEST(ConnectionCountTest, ComplaintWhileTryingIsNotTakenForAMeasurement) {
  ConnectionCount count(4, 8, 64);
  Measure(&count, 1000, 1);
  EXPECT_EQ(count.count(), 16);
  count.TooMany();
  EXPECT_EQ(count.count(), 8);
  Measure(&count, 1000, 20);
  EXPECT_EQ(count.count(), 8) << "it rests";
  Measure(&count, 1000, 1);
  EXPECT_EQ(count.count(), 16) << "and tries again";
}

TEST(ConnectionCountTest, FirstIsBroughtBetweenLeastAndMost) {
  EXPECT_EQ(ConnectionCount(4, 1, 64).count(), 4);
  EXPECT_EQ(ConnectionCount(4, 100, 64).count(), 64);
}

}  // namespace
}  // namespace hayate::cloud
