#pragma once

#include <arrow/type_fwd.h>

#include <memory>

namespace hayate::frame {

/// The least type that holds every value of both, by the rules of unify.h; null where there is
/// none. Integer beside floating point gives double, times the finer unit, inside dictionaries and
/// lists too: the caller checks that the values allow it (widening.h).
std::shared_ptr<arrow::DataType> UnifyTypes(const std::shared_ptr<arrow::DataType>& left,
                                            const std::shared_ptr<arrow::DataType>& right);

/// The type of the values that a dictionary or list comes down to; else `type`.
const arrow::DataType& InnermostType(const arrow::DataType& type);

}  // namespace hayate::frame
