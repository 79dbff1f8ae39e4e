#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/cell.h"
#include "hayate/csv/number_marks.h"
#include "hayate/csv/options.h"

namespace hayate::csv {

/// The spellings of nulls, booleans and numbers, ready for use.
struct CellRules {
  explicit CellRules(const ReadOptions& options);

  bool IsTrue(std::string_view text) const { return Contains(true_values, text); }
  bool IsFalse(std::string_view text) const { return Contains(false_values, text); }

  /// Whether inference takes it for a boolean: not where it is a value of another type as well, so
  /// that a type does not depend on which cells were looked at. Integers may be both (classify.h).
  bool IsInferredBool(std::string_view text) const { return Contains(inferred_bools, text); }

  NullSpellings nulls;
  NumberMarks marks;
  char empty_mark = '\0';
  std::vector<std::string> true_values;
  std::vector<std::string> false_values;
  std::vector<std::string> inferred_bools;

 private:
  static bool Contains(const std::vector<std::string>& values, std::string_view text) {
    return std::find(values.begin(), values.end(), text) != values.end();
  }
};

}  // namespace hayate::csv
