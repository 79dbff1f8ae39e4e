#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/csv/options.h"
#include "hayate/frame/manifest.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// Version of the meaning of bytes → values; part of every source's key.
inline constexpr int kIngestSemantics = 4;

struct IngestProgress {
  int64_t rows = 0;
  int64_t bytes_read = 0;   ///< of the objects, compressed
  int64_t bytes_total = 0;  ///< of the objects, compressed
  int64_t text_bytes = 0;   ///< after inflation
  int64_t shards_done = 0;
  int64_t shards_total = 0;
};

struct IngestOptions {
  csv::ReadOptions csv;
  std::string format =
      "auto";  ///< "csv", "parquet"; auto: by content (PAR1); a .parquet without it is an error
  int threads = 1;
  bool allow_empty = false;  ///< else no rows is Fault::kInput
  int64_t min_rows = 0;
  /// Called from any worker thread, at most some times a second. Return false to stop: the call
  /// ends with Fault::kInterrupted.
  std::function<bool(const IngestProgress&)> progress;
};

struct IngestResult {
  std::shared_ptr<arrow::Schema> schema;
  /// A column that widened to string, naming both cells; what could not be read (OnError); the
  /// dialect that was found.
  std::vector<std::string> warnings;
  int64_t rows = 0;
};

/// Objects → parts of a frame in `dir` (not committed): part i is object i, rows as in the object.
/// Parts already there with a sidecar for the same file, options and types are kept. Memory is
/// bounded by threads × a few blocks, whatever the input's size. One shard per core, largest first;
/// cores without a shard help to parse blocks of the others. The types are the schema's, or
/// inferred from a sample and then checked on every value (DESIGN: Types); a surprise widens the
/// column and parses the shards again. Rows that are put aside become the parts of another frame
/// (kQuarantineFolder of `dir`), to be committed before this one by CommitQuarantine.
Result<IngestResult> IngestToParts(const std::vector<source::Object>& objects,
                                   const IngestOptions& options, const std::string& dir);

struct IngestedTable {
  std::shared_ptr<arrow::Table> rows;       ///< chunks in order
  std::shared_ptr<arrow::Table> put_aside;  ///< see quarantine.h; null unless options.csv.on_error
  std::vector<std::string> warnings;
};

/// Objects → tables in memory.
Result<IngestedTable> IngestToTable(const std::vector<source::Object>& objects,
                                    const IngestOptions& options);

}  // namespace hayate::ingest
