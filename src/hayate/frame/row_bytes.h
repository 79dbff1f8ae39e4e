#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>

namespace hayate::frame {

/// About how many bytes the values of a row take, those in a dictionary as if they stood in the
/// column; at least 1. `batch`: no slice of a larger one.
int64_t RowBytes(const arrow::RecordBatch& batch);

}  // namespace hayate::frame
