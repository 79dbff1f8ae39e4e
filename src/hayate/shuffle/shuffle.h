#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/reader.h"

namespace hayate::shuffle {

/// Version of PartitionHash; part of every shuffled frame's key.
inline constexpr int kPartitionHash = 1;

/// How many partitions a stage over `rows` rows and `bytes` bytes gets. Depends on nothing else, so
/// that another machine resumes and gets the same result.
int64_t PartitionCount(int64_t rows, int64_t bytes);

/// One 64-bit hash per row of the key columns. All integers (any width, signed or not) hash by
/// value, booleans as 0/1, float and double by value (-0.0 as 0.0, all NaNs alike), string and
/// large_string by bytes, a dictionary by its values, timestamps by instant in nanoseconds… null is
/// one value of its own. Equal keys of two frames hash alike. Unsupported (nested) types are
/// Fault::kUsage.
Result<std::vector<uint64_t>> HashRows(const arrow::RecordBatch& batch,
                                       const std::vector<std::string>& columns);

/// Name of the column that ShuffleParts adds when `with_row_numbers`: uint64, row in the whole
/// input.
inline constexpr const char* kRowNumberColumn = "__hayate_row";

struct ShuffleOptions {
  std::vector<std::string> columns;  ///< the key
  int64_t partitions = 1;
  bool with_row_numbers = false;  ///< for group_by, which restores order of first appearance
  int threads = 1;
};

/// Splits a frame by hash of key: writes one part per input part into `dir` (not committed), each
/// of exactly `partitions` record batches, batch p holding the rows of partition p in input order.
/// Partition p of the frame is then batch p of every part, in part order: nothing is merged.
/// Output parts already there are kept if they come from the same part by the same options. A key
/// column that is missing is Fault::kUsage that lists the columns there are.
Status ShuffleParts(const frame::FrameReader& input, const ShuffleOptions& options,
                    const std::string& dir);

}  // namespace hayate::shuffle
