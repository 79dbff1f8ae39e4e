#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// Whether an object starts as a Parquet file does (PAR1).
Result<bool> IsParquet(const source::Object& object);

/// Parquet shards as a pipeline reads them: row group by row group, in batches of about a block,
/// cast to one schema.
class ParquetSource {
 public:
  /// Reads every footer. Fault::kInput names a shard that is no Parquet file, or whose columns do
  /// not go together with the first one's. The arguments must outlive it.
  static Result<std::unique_ptr<ParquetSource>> Make(const std::vector<source::Object>& objects,
                                                     const csv::ReadOptions& options, Meter* meter);

  /// From any thread.
  Result<std::unique_ptr<ShardReader>> Open(int64_t shard);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  ParquetSource(const std::vector<source::Object>& objects, const csv::ReadOptions& options,
                Meter* meter)
      : objects_(objects), options_(options), meter_(meter) {}
  Status UnifySchemas();

  const std::vector<source::Object>& objects_;
  const csv::ReadOptions& options_;
  Meter* const meter_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace hayate::ingest
