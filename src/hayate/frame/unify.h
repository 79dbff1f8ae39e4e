#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// One schema for sibling parts: null → any, int → wider int, int → double if every integer is
/// exact there, float → double, times → the finer unit if it has a number for each, dictionary →
/// its values merged, string → large_string, columns in the order of the first part; a column
/// missing from a part is null there. A true conflict (string beside int64) is Fault::kUserCode at
/// the first part that has it, naming column, both parts and both types. Schema metadata (pandas'
/// own, for the index) is the first part's. Row labels (row_labels.h) that some part with rows
/// lacks are left out. `name_of`: what an error calls a part, if not by number.
Result<std::shared_ptr<arrow::Schema>> UnifySchemas(
    const std::vector<Part>& parts, const std::string& stage,
    const std::function<std::string(const Part&)>& name_of = nullptr);

/// `batch` with columns reordered, added (null) and cast to `schema`; zero-copy where the type is
/// already right.
Result<std::shared_ptr<arrow::RecordBatch>> ConformTo(const arrow::RecordBatch& batch,
                                                      const std::shared_ptr<arrow::Schema>& schema);

}  // namespace hayate::frame
