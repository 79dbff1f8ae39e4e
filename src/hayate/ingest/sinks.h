#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/pipeline.h"

namespace hayate::ingest {

/// Where the batches of a pass over the shards go. A pass whose types turn out too narrow is run
/// again: Begin forgets what the one before left unfinished.
class PassSink : public BatchSink {
 public:
  virtual Status Begin(std::shared_ptr<arrow::Schema> schema) = 0;
  /// What the sidecar of a shard shall say besides, asked for when the shard is finished.
  using ResumeOf = std::function<Json(int64_t shard)>;
};

/// Part i of a frame for shard i; where rows are put aside, part i of another one for those.
class PartsSink : public PassSink {
 public:
  PartsSink(std::string dir, ResumeOf resume_of, bool puts_aside)
      : dir_(std::move(dir)), resume_of_(std::move(resume_of)), puts_aside_(puts_aside) {}

  Status Begin(std::shared_ptr<arrow::Schema> schema) override;
  Status Write(int64_t shard, const Batches& batches) override;
  Status Finish(int64_t shard) override;

 private:
  // Of one shard: one thread at a time.
  struct Writers {
    std::unique_ptr<frame::PartWriter> rows;
    std::unique_ptr<frame::PartWriter> put_aside;  // null where none are
  };
  Result<Writers*> WritersOf(int64_t shard);

  const std::string dir_;
  const ResumeOf resume_of_;
  const bool puts_aside_;
  std::shared_ptr<arrow::Schema> schema_;
  std::mutex mutex_;
  std::map<int64_t, Writers> writers_;
};

/// All batches in memory, by shard.
class TableSink : public PassSink {
 public:
  Status Begin(std::shared_ptr<arrow::Schema> schema) override;
  Status Write(int64_t shard, const Batches& batches) override;
  Status Finish(int64_t shard) override;

  Result<std::shared_ptr<arrow::Table>> ToTable() const;
  /// The rows that were put aside, see quarantine.h.
  Result<std::shared_ptr<arrow::Table>> PutAside() const;

 private:
  using BatchesByShard = std::map<int64_t, arrow::RecordBatchVector>;
  std::shared_ptr<arrow::Schema> schema_;
  std::mutex mutex_;
  BatchesByShard batches_;
  BatchesByShard put_aside_;
};

}  // namespace hayate::ingest
