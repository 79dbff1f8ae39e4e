#pragma once

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include "hayate/base/status.h"
#include "hayate/frame/reader.h"

namespace hayate::output {

// One writer for each format: all rows of a table frame, in order, onto `sink`.

Status WriteCsv(const frame::FrameReader& frame, bool gzip, int threads,
                arrow::io::OutputStream* sink);
Status WriteArrow(const frame::FrameReader& frame, arrow::io::OutputStream* sink);
Status WriteParquet(const frame::FrameReader& frame, int threads,
                    const std::shared_ptr<arrow::io::OutputStream>& sink);

}  // namespace hayate::output
