#pragma once

#include <memory>

#include "hayate/csv/convert.h"

namespace hayate::csv {

/// ConvertColumn for types of a fixed width (numbers, decimals, dates, times, booleans).
Result<ConvertedColumn> ConvertFixed(const TextBlock& block, int field,
                                     const std::shared_ptr<arrow::DataType>& type, bool inferred,
                                     const CellRules& rules);
/// ConvertColumn for strings and binaries.
Result<ConvertedColumn> ConvertText(const TextBlock& block, int field,
                                    const std::shared_ptr<arrow::DataType>& type,
                                    const CellRules& rules);

}  // namespace hayate::csv
