#pragma once

#include <arrow/type_fwd.h>

#include <string>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::shuffle {

/// Where the key columns stand. Fault::kUsage for one that is missing (lists those there are), that
/// is nested, or where none is named; `object` is what the error is about.
Result<std::vector<int>> KeyColumns(const arrow::Schema& schema,
                                    const std::vector<std::string>& columns,
                                    const std::string& object);

}  // namespace hayate::shuffle
