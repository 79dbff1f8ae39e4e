#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::shuffle {

/// Some rows of one chunk of a column.
struct RowsOfChunk {
  const arrow::Array* chunk;
  std::span<const uint32_t> rows;
};

/// The rows of the chunks, end to end, as one array. All chunks have the type `type`; dictionary
/// chunks share one dictionary.
Result<std::shared_ptr<arrow::Array>> Gather(const std::shared_ptr<arrow::DataType>& type,
                                             const std::vector<RowsOfChunk>& pieces);

}  // namespace hayate::shuffle
