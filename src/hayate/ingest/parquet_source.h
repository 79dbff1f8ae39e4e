#pragma once

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>
#include <arrow/util/type_fwd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// Whether an object starts as a Parquet file does (PAR1).
Result<bool> IsParquet(const source::Object& object);

/// Parquet shards as a pipeline reads them: row group by row group, in batches of about a block,
/// cast to one schema. Shards are decoded at once, each on a thread of the pipeline; where there
/// are fewer shards than threads, as many threads of its own decode the columns of a batch at once.
/// (Whole row groups at once would need memory for as many of them, decoded.)
class ParquetSource {
 public:
  /// Reads every footer. Fault::kInput names a shard that is no Parquet file, or whose columns do
  /// not go together with the first one's. The arguments must outlive it.
  static Result<std::unique_ptr<ParquetSource>> Make(const std::vector<source::Object>& objects,
                                                     const csv::ReadOptions& options, int threads,
                                                     Meter* meter);

  /// Shards that have all columns of `schema`, of the types there but for the zones of timestamps,
  /// which are taken from `schema`: nothing is read beforehand. `open_file` is called from any
  /// thread.
  using OpenFile =
      std::function<Result<std::shared_ptr<arrow::io::RandomAccessFile>>(const source::Object&)>;
  static Result<std::unique_ptr<ParquetSource>> Make(const std::vector<source::Object>& objects,
                                                     const csv::ReadOptions& options, int threads,
                                                     std::shared_ptr<arrow::Schema> schema,
                                                     OpenFile open_file, Meter* meter);

  /// From any thread.
  Result<std::unique_ptr<ShardReader>> Open(int64_t shard);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  ParquetSource(const std::vector<source::Object>& objects, const csv::ReadOptions& options,
                OpenFile open_file, Meter* meter)
      : objects_(objects), options_(options), open_file_(std::move(open_file)), meter_(meter) {}
  Status StartThreads(int threads);
  Status UnifySchemas();

  const std::vector<source::Object>& objects_;
  const csv::ReadOptions& options_;
  const OpenFile open_file_;
  Meter* const meter_;
  std::shared_ptr<arrow::internal::ThreadPool> for_columns_;  // null: none
  std::shared_ptr<arrow::Schema> schema_;
  bool schema_is_given_ = false;
};

}  // namespace hayate::ingest
