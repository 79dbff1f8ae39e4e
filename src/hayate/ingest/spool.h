#pragma once

#include <arrow/io/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"

namespace hayate::ingest {

struct SpoolOptions {
  int64_t size_bytes = 0;             ///< of the stream, as something else says
  int64_t most_in_memory = 32 << 20;  ///< a larger stream goes through a file
};

/// All bytes of a stream, for what cannot be read in order: a Parquet file ends with what one has
/// to know first. A few lie in memory, many in a file without a name in the folder `dir`, which is
/// gone when it is closed, however the process ends: it mostly stays in the page cache, and memory
/// does not grow with it. Fault::kStorage names `dir` where the disk is full, Fault::kInput the
/// stream where it is of another size.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(ByteStream* stream,
                                                           const SpoolOptions& options,
                                                           const std::string& dir);

}  // namespace hayate::ingest
