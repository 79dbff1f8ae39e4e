#pragma once

#include <arrow/type_fwd.h>

#include <string>

#include "hayate/base/status.h"

namespace hayate::csv {

/// How CSV text is written: the dialect of BigQuery's exports, so that what was read can be
/// written again and compared: null is an empty field, the empty string is `""`, quotes only where
/// needed, `… UTC` timestamps with trimmed fractions, doubles in shortest round-trip form.
struct WriteOptions {
  char delimiter = ',';
  bool header = true;
};

/// Appends the header record of `schema` to `out`.
Status AppendHeader(const arrow::Schema& schema, const WriteOptions& options, std::string* out);
/// Appends every row of `batch` to `out`. Nested types are Fault::kUsage naming the column.
Status AppendRows(const arrow::RecordBatch& batch, const WriteOptions& options, std::string* out);

}  // namespace hayate::csv
