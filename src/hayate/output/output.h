#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/reader.h"

namespace hayate::output {

struct OutputOptions {
  /// "arrow", "parquet", "csv", "csv.gz"; empty: by the path's extension.
  std::string format;
  int threads = 1;
  /// Asked again and again; false ends the writing with Fault::kInterrupted. May be empty.
  std::function<bool()> keep_going;
};

/// By extension: "arrow" (.arrow, .feather), "parquet", "csv", "csv.gz" (.csv.gz); else
/// Fault::kUsage that lists these.
Result<std::string> FormatOfPath(const std::string& path);

struct OutputResult {
  int64_t rows = 0;
  int64_t bytes = 0;
};

/// Writes a committed table frame as one file at `path` (atomic: complete or not there), rows in
/// frame order; batches are encoded by `threads` in parallel and written in order, memory bounded.
/// csv.gz is a gzip file of many members.
Result<OutputResult> WriteFrame(const frame::FrameReader& frame, const std::string& path,
                                const OutputOptions& options);

}  // namespace hayate::output
