#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/ingest/ingest.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// The rows of CSV shards as record batches, in order (shards as given, rows as in the shard), read
/// and parsed ahead by `options.threads` threads from the first ReadNext on; some 32 blocks a
/// thread wait at most. The schema is fixed before: declared types, and those that a sample holds;
/// a later value that does not fit is Fault::kInput naming its cell. An error comes after the rows
/// before it. Close, and the destructor, end the threads. One thread at a time.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenRecordStream(
    std::vector<source::Object> objects, IngestOptions options);

}  // namespace hayate::ingest
