#pragma once

#include <arrow/type_fwd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hayate/csv/cell_rules.h"
#include "hayate/csv/classify.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// A cell to be shown to a person.
struct CellPlace {
  int64_t shard = 0;
  int64_t row = 0;  ///< from 1
  std::string object;
  std::string value;
};

/// The classes seen in one column, with the first cell of each by shard and row.
class ColumnEvidence {
 public:
  void Add(CellClass cell_class, CellPlace place);
  /// `other` comes from more of the same column.
  void Merge(const ColumnEvidence& other);

  ClassSet classes() const { return classes_; }
  /// Of a class that has been seen.
  const CellPlace& first(CellClass cell_class) const {
    return *first_[static_cast<size_t>(cell_class)];
  }

 private:
  ClassSet classes_ = 0;
  std::array<std::optional<CellPlace>, kCellClasses> first_;
};

/// The type of a column in which these classes have been seen so far; null while that is open:
/// there is none, or more of them may make it a number still (words for NaN beside numbers,
/// integers beyond int64 beside reals). The rules are those of the design: one class gives its
/// type, integers beside reals are double if each is exact there, all other mixtures are string.
std::shared_ptr<arrow::DataType> TypeOf(ClassSet classes);
/// The same where nothing more is to come: what is open is a string.
std::shared_ptr<arrow::DataType> FinalTypeOf(ClassSet classes);

/// The sentence that tells a person why a column became a string, naming the two cells that no
/// other type holds; nothing if there is nothing to wonder about: all cells are of one class, or
/// some are codes (007). `evidence`: of the whole column.
std::optional<std::string> WideningWarning(const std::string& column,
                                           const ColumnEvidence& evidence);

/// Classes of a column of a block.
ColumnEvidence ClassifyColumn(const TextBlock& block, int64_t shard, int field,
                              const CellRules& rules);

}  // namespace hayate::csv
