#pragma once

#include <arrow/buffer.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::csv {

/// Memory for all columns of one batch, in one piece. Thousands of buffers of a few KiB each would
/// lose a third of it between the size classes of an allocator, and would be spread over pages of
/// their own; a piece of megabytes is exact, and lies in huge pages where the kernel has them. Its
/// columns keep it alive together. One thread.
class Slab {
 public:
  Slab() = default;
  explicit Slab(std::shared_ptr<arrow::Buffer> memory) : memory_(std::move(memory)) {}

  /// What a buffer of `bytes` takes of a slab.
  static int64_t BytesOf(int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// The next `bytes`, on a cache line of their own, with the memory up to the next line zero; of
  /// the allocator where they do not fit any more.
  Result<std::shared_ptr<arrow::Buffer>> Take(int64_t bytes);

 private:
  static constexpr int64_t kAlignment = 64;

  std::shared_ptr<arrow::Buffer> memory_;
  int64_t used_ = 0;
};

/// Gives slabs, and gives their memory again when all that lay in it is gone: a batch that has been
/// written leaves its pages to the next. Any thread; it may end before its slabs.
class SlabPool {
 public:
  /// Of `bytes`, as Slab::BytesOf counts them.
  Result<Slab> Take(int64_t bytes);

 private:
  // As many as are in flight at most times; more are freed.
  static constexpr size_t kMostKept = 16;

  struct Kept {
    Kept() { memory.reserve(kMostKept); }  // giving back never needs memory

    std::mutex mutex;
    std::vector<std::unique_ptr<arrow::Buffer>> memory;
  };
  class Lent;

  const std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

}  // namespace hayate::csv
