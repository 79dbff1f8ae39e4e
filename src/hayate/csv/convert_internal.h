#pragma once

#include <memory>
#include <utility>

#include "hayate/csv/convert.h"

namespace hayate::csv {

/// What a converter reads and what it makes of it; all of it outlives the converter.
struct ColumnPlace {
  const TextBlock& block;
  int field;
  const std::shared_ptr<arrow::DataType>& type;
  const CellRules& rules;
  ConvertOptions options;
};

/// What a converter makes of a bad cell: notes it, and says whether to go on. `set_null(row)`.
template <typename SetNull>
auto OnBadCell(const ColumnPlace& place, ConvertedColumn* result, SetNull set_null) {
  return [&place, result, set_null](BadCell bad) {
    if (place.options.past_bad_cells) set_null(bad.row);
    result->bad.push_back(std::move(bad));
    return place.options.past_bad_cells;
  };
}

/// Whether a converter has stopped.
inline bool HasStopped(const ColumnPlace& place, const ConvertedColumn& result) {
  return !result.bad.empty() && !place.options.past_bad_cells;
}

/// For types of a fixed width (numbers, decimals, dates, times, booleans).
Result<std::unique_ptr<ColumnConverter>> MakeFixedConverter(const ColumnPlace& place);
/// For strings and binaries.
Result<std::unique_ptr<ColumnConverter>> MakeTextConverter(const ColumnPlace& place);
/// For dictionary(int32, utf8).
Result<std::unique_ptr<ColumnConverter>> MakeDictionaryConverter(const ColumnPlace& place);

}  // namespace hayate::csv
