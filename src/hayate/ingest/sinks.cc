#include "hayate/ingest/sinks.h"

#include <arrow/array/array_dict.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <utility>

#include "hayate/ingest/quarantine.h"

namespace hayate::ingest {

Status PartsSink::Begin(std::shared_ptr<arrow::Schema> schema) {
  writers_.clear();
  schema_ = std::move(schema);
  return Status::OK();
}

Result<PartsSink::Writers*> PartsSink::WritersOf(int64_t shard) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = writers_.find(shard);
    if (found != writers_.end()) return &found->second;
  }
  Writers writers;
  ARROW_ASSIGN_OR_RAISE(writers.rows, frame::PartWriter::Make(dir_, shard, schema_));
  if (puts_aside_) {
    ARROW_ASSIGN_OR_RAISE(writers.put_aside, frame::PartWriter::Make(dir_ + "/" + kQuarantineFolder,
                                                                     shard, QuarantineSchema()));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  return &writers_.emplace(shard, std::move(writers)).first->second;
}

Status PartsSink::Write(int64_t shard, const Batches& batches) {
  ARROW_ASSIGN_OR_RAISE(Writers* const writers, WritersOf(shard));
  if (batches.put_aside != nullptr) {
    ARROW_RETURN_NOT_OK(writers->put_aside->Write(*batches.put_aside));
  }
  return batches.rows == nullptr ? Status::OK() : writers->rows->Write(*batches.rows);
}

// What was put aside first: a part that is kept never lacks it.
Status PartsSink::Finish(int64_t shard) {
  ARROW_ASSIGN_OR_RAISE(Writers* const writers, WritersOf(shard));
  if (writers->put_aside != nullptr) ARROW_RETURN_NOT_OK(writers->put_aside->Finish().status());
  writers->rows->set_resume(resume_of_(shard));
  ARROW_RETURN_NOT_OK(writers->rows->Finish().status());
  const std::lock_guard<std::mutex> lock(mutex_);
  writers_.erase(shard);
  return Status::OK();
}

Status TableSink::Begin(std::shared_ptr<arrow::Schema> schema) {
  batches_.clear();
  put_aside_.clear();
  schema_ = std::move(schema);
  return Status::OK();
}

Status TableSink::Write(int64_t shard, const Batches& batches) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (batches.rows != nullptr) batches_[shard].push_back(batches.rows);
  if (batches.put_aside != nullptr) put_aside_[shard].push_back(batches.put_aside);
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
  ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(schema_, all));
  // Blocks have dictionaries of their own; nothing is copied where there are none.
  return arrow::DictionaryUnifier::UnifyTable(*table);
}

Result<std::shared_ptr<arrow::Table>> TableSink::PutAside() const {
  arrow::RecordBatchVector all;
  for (const auto& [shard, batches] : put_aside_) {
    all.insert(all.end(), batches.begin(), batches.end());
  }
  ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(QuarantineSchema(), all));
  return table->CombineChunks();
}

}  // namespace hayate::ingest
