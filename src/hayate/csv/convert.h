#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/parse.h"
#include "hayate/csv/slab.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// A cell that is not a value of its column's type.
struct BadCell {
  int64_t row = 0;  ///< in the block, from 0
  ParseFault fault = ParseFault::kSyntax;
  std::string value;
  bool quoted = false;
};

struct ConvertedColumn {
  /// Null if conversion stopped at a bad cell; else bad cells are null in it.
  std::shared_ptr<arrow::Array> array;
  std::vector<BadCell> bad;  ///< by row; the first alone, where conversion stops there
  /// Inferred int64 only: the first row (from 0) whose value has no exact double.
  std::optional<int64_t> inexact_row;
};

struct ConvertOptions {
  /// Only the spellings that inference takes for this type (classify.h), so that what a sample
  /// promised holds for every value.
  bool inferred = false;
  /// A bad cell does not end the conversion.
  bool past_bad_cells = false;
};

/// One field of a block on its way to an array, some rows at a time, so that all columns of some
/// rows can be converted while their text is in the core's own cache. One thread.
class ColumnConverter {
 public:
  /// Block, type and rules must outlive it. An error: a type that CSV is not read into, or
  /// more text in the block than it can hold.
  static Result<std::unique_ptr<ColumnConverter>> Make(const TextBlock& block, int field,
                                                       const std::shared_ptr<arrow::DataType>& type,
                                                       ConvertOptions options,
                                                       const CellRules& rules);
  virtual ~ColumnConverter() = default;

  /// What Begin takes of a slab.
  virtual int64_t SlabBytes() const = 0;
  /// Once, before the first row. An error: no memory.
  virtual Status Begin(Slab* slab) = 0;
  /// The rows from where the last call ended to before `end`; nothing once it has stopped at a bad
  /// cell.
  virtual Status ConvertTo(int64_t end) = 0;
  /// After the last row.
  virtual Result<ConvertedColumn> Finish() = 0;
};

/// A whole column at once.
Result<ConvertedColumn> ConvertColumn(const TextBlock& block, int field,
                                      const std::shared_ptr<arrow::DataType>& type,
                                      ConvertOptions options, const CellRules& rules);

/// What is wrong with a bad cell, as a clause that names its value.
std::string WhatIsWrong(const BadCell& bad, const arrow::DataType& type);

/// The error for a bad cell: object, row, line, column, value, remedy.
Status BadCellError(const TextBlock& block, const BadCell& bad, const std::string& column,
                    const arrow::DataType& type);

}  // namespace hayate::csv
