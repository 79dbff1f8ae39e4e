#pragma once

#include <arrow/type_fwd.h>

#include <memory>

namespace hayate::frame {

/// Whether a column holds row labels: the one unnamed index of integers that pandas' filters and
/// sorts leave of a frame's row numbers. Whether they leave it, or a RangeIndex that no column
/// holds, depends on which rows are kept; so nothing may depend on the column being there.
bool HasRowLabels(const arrow::Schema& schema);

/// `schema` without the column of row labels, in pandas' metadata too; rows are then numbered anew.
std::shared_ptr<arrow::Schema> WithoutRowLabels(const std::shared_ptr<arrow::Schema>& schema);

}  // namespace hayate::frame
