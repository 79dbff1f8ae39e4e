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

/// Part i of a frame for shard i.
class PartsSink : public PassSink {
 public:
  PartsSink(std::string dir, ResumeOf resume_of)
      : dir_(std::move(dir)), resume_of_(std::move(resume_of)) {}

  Status Begin(std::shared_ptr<arrow::Schema> schema) override;
  Status Write(int64_t shard, const std::shared_ptr<arrow::RecordBatch>& batch) override;
  Status Finish(int64_t shard) override;

 private:
  Result<frame::PartWriter*> WriterOf(int64_t shard);

  const std::string dir_;
  const ResumeOf resume_of_;
  std::shared_ptr<arrow::Schema> schema_;
  std::mutex mutex_;
  std::map<int64_t, std::unique_ptr<frame::PartWriter>> writers_;
};

/// All batches in memory, by shard.
class TableSink : public PassSink {
 public:
  Status Begin(std::shared_ptr<arrow::Schema> schema) override;
  Status Write(int64_t shard, const std::shared_ptr<arrow::RecordBatch>& batch) override;
  Status Finish(int64_t shard) override;

  Result<std::shared_ptr<arrow::Table>> ToTable() const;

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::mutex mutex_;
  std::map<int64_t, std::vector<std::shared_ptr<arrow::RecordBatch>>> batches_;
};

}  // namespace hayate::ingest
