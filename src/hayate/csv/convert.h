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

/// One field of a block on its way to an array, some rows at a time, so that all columns of some
/// rows can be converted while their text is in the core's own cache. One thread.
class ColumnConverter {
 public:
  /// `inferred`: only the spellings that inference takes for this type (classify.h), so that what a
  /// sample promised holds for every value. All arguments must outlive it. An error: a type that
  /// CSV is not read into, or of memory.
  static Result<std::unique_ptr<ColumnConverter>> Make(const TextBlock& block, int field,
                                                       const std::shared_ptr<arrow::DataType>& type,
                                                       bool inferred, const CellRules& rules);
  virtual ~ColumnConverter() = default;

  /// The rows from where the last call ended to before `end`; nothing once there is a bad cell.
  virtual Status ConvertTo(int64_t end) = 0;
  /// After the last row.
  virtual Result<ConvertedColumn> Finish() = 0;
};

/// A whole column at once.
Result<ConvertedColumn> ConvertColumn(const TextBlock& block, int field,
                                      const std::shared_ptr<arrow::DataType>& type, bool inferred,
                                      const CellRules& rules);

/// The error for a bad cell: object, row, line, column, value, remedy.
Status BadCellError(const TextBlock& block, const BadCell& bad, const std::string& column,
                    const arrow::DataType& type);

}  // namespace hayate::csv
