#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::ingest {

/// What comes of a piece of a shard.
struct Batches {
  std::shared_ptr<arrow::RecordBatch> rows;       ///< null: none
  std::shared_ptr<arrow::RecordBatch> put_aside;  ///< see quarantine.h; null: none
};

/// What is left to do with a piece of a shard, on any thread: text → record batch.
class BlockTask {
 public:
  virtual ~BlockTask() = default;
  virtual Result<Batches> Run() = 0;
};

/// Reads one shard from its start. One thread at a time, not always the same.
class ShardReader {
 public:
  virtual ~ShardReader() = default;
  /// The next piece, null at the end.
  virtual Result<std::unique_ptr<BlockTask>> Next() = 0;
};

/// Takes the batches of each shard in order. Any number of shards at once, one thread a shard.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  virtual Status Write(int64_t shard, const Batches& batches) = 0;
  /// After the last batch of a shard, also where there was none.
  virtual Status Finish(int64_t shard) = 0;
};

struct PipelineOptions {
  int threads = 1;
  /// Shards are written one after the other, in the order in which they are begun; the pieces of
  /// later ones wait in memory, some for each thread.
  bool in_order = false;
  /// Asked by every thread after each step; false: stop with Fault::kInterrupted.
  std::function<bool()> keep_going;
  /// What an error calls a shard that there was no memory for.
  std::function<std::string(int64_t shard)> name_of;
};

using OpenShard = std::function<Result<std::unique_ptr<ShardReader>>(int64_t shard)>;

/// Reads, converts and writes shards on `threads` threads (the caller's is one). Each shard is read
/// by one thread at a time; a thread without a shard to read converts the pieces of others. At most
/// `threads` shards are open and threads + 2 pieces in memory. `order`: shard numbers in the order
/// in which they are begun. All threads have ended when it returns.
///
/// The error is that of the first shard by number that has one, and of its first piece that has
/// one: the same whatever the number of threads. Shards before it are still finished.
Status RunPipeline(const std::vector<int64_t>& order, const OpenShard& open, BatchSink* sink,
                   const PipelineOptions& options);

}  // namespace hayate::ingest
