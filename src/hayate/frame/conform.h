#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "hayate/base/status.h"

namespace hayate::frame {

/// `column` as `field` has it, zero-copy where the type is right already; slots under nulls as
/// null_slots.h says. Only the widenings of unify.h are possible.
Result<std::shared_ptr<arrow::Array>> ConformColumn(const std::shared_ptr<arrow::Array>& column,
                                                    const arrow::Field& field);

}  // namespace hayate::frame
