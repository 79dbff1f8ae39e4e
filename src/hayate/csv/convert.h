#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hayate/base/status.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/parse.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// The first cell of a column that is not a value of its type.
struct BadCell {
  int64_t row = 0;  ///< in the block, from 0
  ParseFault fault = ParseFault::kSyntax;
  std::string value;
  bool quoted = false;
};

struct ConvertedColumn {
  std::shared_ptr<arrow::Array> array;  ///< null if there is a bad cell
  std::optional<BadCell> bad;
  /// Inferred int64 only: the first row (from 0) whose value has no exact double.
  std::optional<int64_t> inexact_row;
};

/// One field of every row of `block` as values of `type`. `inferred`: only the spellings that
/// inference takes for this type (classify.h), so that what a sample promised holds for every
/// value. A Status is an error of memory or a type that CSV is not read into.
Result<ConvertedColumn> ConvertColumn(const TextBlock& block, int field,
                                      const std::shared_ptr<arrow::DataType>& type, bool inferred,
                                      const CellRules& rules);

/// The error for a bad cell: object, row, line, column, value, remedy.
Status BadCellError(const TextBlock& block, const BadCell& bad, const std::string& column,
                    const arrow::DataType& type);

}  // namespace hayate::csv
