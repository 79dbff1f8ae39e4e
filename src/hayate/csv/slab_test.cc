#include "hayate/csv/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace hayate::csv {
namespace {

constexpr int64_t kPageBytes = 4096;

TEST(Slab, BuffersLieOnLinesOfTheirOwnAndEndInZeros) {
  SlabPool pool;
  Slab slab = pool.Take(3 * 64).ValueOrDie();
  const auto first = slab.Take(1).ValueOrDie();
  const auto second = slab.Take(64).ValueOrDie();
  const auto third = slab.Take(40).ValueOrDie();
  EXPECT_EQ(first->size(), 1);
  EXPECT_EQ(second->data() - first->data(), 64);
  EXPECT_EQ(third->data() - second->data(), 64);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first->data()) % 64, 0U);
  const auto is_zero = [](uint8_t byte) { return byte == 0; };
  EXPECT_TRUE(std::all_of(first->data() + 1, first->data() + 64, is_zero));
  EXPECT_TRUE(std::all_of(third->data() + 40, third->data() + 64, is_zero));
}

TEST(Slab, WhatDoesNotFitIsAllocated) {
  SlabPool pool;
  Slab slab = pool.Take(64).ValueOrDie();
  const auto inside = slab.Take(64).ValueOrDie();
  const auto outside = slab.Take(kPageBytes).ValueOrDie();
  EXPECT_EQ(outside->size(), kPageBytes);
  std::memset(outside->mutable_data(), 1, static_cast<size_t>(outside->size()));
  EXPECT_EQ(Slab().Take(10).ValueOrDie()->size(), 10);
}

TEST(SlabPool, MemoryIsUsedAgainOnlyWhenNoBufferIsLeft) {
  SlabPool pool;
  std::optional<Slab> slab = pool.Take(kPageBytes).ValueOrDie();
  auto kept = slab->Take(100).ValueOrDie();
  const uint8_t* const memory = kept->data();
  slab.reset();
  const auto other = pool.Take(kPageBytes).ValueOrDie().Take(100).ValueOrDie();
  EXPECT_NE(other->data(), memory);
  kept.reset();
  // Smaller is no reason to ask for new memory; larger is.
  EXPECT_EQ(pool.Take(kPageBytes / 2).ValueOrDie().Take(100).ValueOrDie()->data(), memory);
  const auto large = pool.Take(2 * kPageBytes).ValueOrDie().Take(2 * kPageBytes).ValueOrDie();
  EXPECT_EQ(large->size(), 2 * kPageBytes);
}

TEST(SlabPool, BuffersOutliveIt) {
  std::shared_ptr<arrow::Buffer> buffer;
  {
    SlabPool pool;
    buffer = pool.Take(kPageBytes).ValueOrDie().Take(kPageBytes).ValueOrDie();
  }
  std::memset(buffer->mutable_data(), 7, kPageBytes);
  EXPECT_EQ(buffer->data()[kPageBytes - 1], 7);
}

}  // namespace
}  // namespace hayate::csv
