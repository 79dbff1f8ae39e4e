#pragma once

#include <arrow/type_fwd.h>

#include <memory>

namespace hayate::frame {

/// The least type that holds every value of both, by the rules of unify.h; null where there is
/// none. Integer beside floating point gives double: the caller checks that the integers are exact
/// there.
std::shared_ptr<arrow::DataType> UnifyTypes(const std::shared_ptr<arrow::DataType>& left,
                                            const std::shared_ptr<arrow::DataType>& right);

}  // namespace hayate::frame
