#pragma once

#include <arrow/io/type_fwd.h>

#include <memory>
#include <string>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"

namespace hayate::ingest {

/// All bytes of a stream in a file without a name in the folder `dir`, which is gone when it is
/// closed, however the process ends. For what cannot be read in order: a Parquet file ends with
/// what one has to know first. A file that lives for seconds mostly stays in the page cache, and
/// memory does not grow with it. Fault::kStorage names `dir` where the disk is full.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(ByteStream* stream,
                                                           const std::string& dir);

}  // namespace hayate::ingest
