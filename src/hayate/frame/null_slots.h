#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "hayate/base/status.h"

namespace hayate::frame {

/// The column with what docs/formats/frame.md promises under nulls: NaN in floats, the int64
/// minimum (NaT) in timestamps, durations and date64; other types as they are. The validity bitmap
/// stays. Returns `data` itself where its slots are right already; else its values are copied.
Result<std::shared_ptr<arrow::ArrayData>> WithNullSlots(
    const std::shared_ptr<arrow::ArrayData>& data);

}  // namespace hayate::frame
