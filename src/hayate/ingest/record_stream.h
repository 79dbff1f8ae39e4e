#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/ingest/ingest.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// The rows of CSV shards as record batches. One thread at a time.
class RecordStream : public arrow::RecordBatchReader {
 public:
  /// The rows that were put aside so far (quarantine.h); kept in memory.
  virtual Result<std::shared_ptr<arrow::Table>> PutAside() = 0;
  /// What could not be read so far, and the dialect that was found.
  virtual std::vector<std::string> Warnings() = 0;
};

/// In order (shards as given, rows as in the shard), read and parsed ahead by `options.threads`
/// threads from the first ReadNext on; some 32 blocks a thread wait at most. The schema is fixed
/// before: declared types, and those that a sample holds; a later value that does not fit is
/// Fault::kInput naming its cell. An error comes after the rows before it. Close, and the
/// destructor, end the threads.
Result<std::shared_ptr<RecordStream>> OpenRecordStream(std::vector<source::Object> objects,
                                                       IngestOptions options);

}  // namespace hayate::ingest
