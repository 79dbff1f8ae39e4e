#include "hayate/ingest/sinks.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <utility>

namespace hayate::ingest {

Status PartsSink::Begin(std::shared_ptr<arrow::Schema> schema) {
  writers_.clear();
  schema_ = std::move(schema);
  return Status::OK();
}

Result<frame::PartWriter*> PartsSink::WriterOf(int64_t shard) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = writers_.find(shard);
    if (found != writers_.end()) return found->second.get();
  }
  ARROW_ASSIGN_OR_RAISE(auto writer, frame::PartWriter::Make(dir_, shard, schema_));
  const std::lock_guard<std::mutex> lock(mutex_);
  return writers_.emplace(shard, std::move(writer)).first->second.get();
}

Status PartsSink::Write(int64_t shard, const std::shared_ptr<arrow::RecordBatch>& batch) {
  ARROW_ASSIGN_OR_RAISE(frame::PartWriter* const writer, WriterOf(shard));
  return writer->Write(*batch);
}

Status PartsSink::Finish(int64_t shard) {
  ARROW_ASSIGN_OR_RAISE(frame::PartWriter* const writer, WriterOf(shard));
  writer->set_resume(resume_of_(shard));
  ARROW_RETURN_NOT_OK(writer->Finish().status());
  const std::lock_guard<std::mutex> lock(mutex_);
  writers_.erase(shard);
  return Status::OK();
}

Status TableSink::Begin(std::shared_ptr<arrow::Schema> schema) {
  batches_.clear();
  schema_ = std::move(schema);
  return Status::OK();
}

Status TableSink::Write(int64_t shard, const std::shared_ptr<arrow::RecordBatch>& batch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  batches_[shard].push_back(batch);
  return Status::OK();
}

Status TableSink::Finish(int64_t) { return Status::OK(); }

Result<std::shared_ptr<arrow::Table>> TableSink::ToTable() const {
  // Of small shards, some together: a chunk for each would make every later step slow.
  constexpr int64_t kFewRows = 16 * 1024;
  arrow::RecordBatchVector all;
  arrow::RecordBatchVector small;
  int64_t small_rows = 0;
  const auto join = [&]() -> Status {
    if (small.size() > 1) {
      ARROW_ASSIGN_OR_RAISE(auto joined, arrow::ConcatenateRecordBatches(small));
      small = {std::move(joined)};
    }
    all.insert(all.end(), small.begin(), small.end());
    small.clear();
    small_rows = 0;
    return Status::OK();
  };
  for (const auto& [shard, batches] : batches_) {
    if (small_rows >= kFewRows || batches.size() > 1) ARROW_RETURN_NOT_OK(join());
    if (batches.size() > 1) {
      all.insert(all.end(), batches.begin(), batches.end());
    } else {
      small.insert(small.end(), batches.begin(), batches.end());
      for (const auto& batch : batches) small_rows += batch->num_rows();
    }
  }
  ARROW_RETURN_NOT_OK(join());
  return arrow::Table::FromRecordBatches(schema_, all);
}

}  // namespace hayate::ingest
