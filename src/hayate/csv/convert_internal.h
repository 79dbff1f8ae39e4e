#pragma once

#include <memory>

#include "hayate/csv/convert.h"

namespace hayate::csv {

/// What a converter reads and what it makes of it; all of it outlives the converter.
struct ColumnPlace {
  const TextBlock& block;
  int field;
  const std::shared_ptr<arrow::DataType>& type;
  const CellRules& rules;
};

/// For types of a fixed width (numbers, decimals, dates, times, booleans).
Result<std::unique_ptr<ColumnConverter>> MakeFixedConverter(const ColumnPlace& place,
                                                            bool inferred);
/// For strings and binaries.
Result<std::unique_ptr<ColumnConverter>> MakeTextConverter(const ColumnPlace& place);

}  // namespace hayate::csv
