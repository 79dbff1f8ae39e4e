#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/cell.h"
#include "hayate/csv/options.h"

namespace hayate::csv {

/// The spellings of nulls and booleans, ready for use.
struct CellRules {
  explicit CellRules(const ReadOptions& options)
      : nulls(options.null_values),
        true_values(options.true_values),
        false_values(options.false_values) {}

  bool IsTrue(std::string_view text) const { return Contains(true_values, text); }
  bool IsFalse(std::string_view text) const { return Contains(false_values, text); }

  NullSpellings nulls;
  std::vector<std::string> true_values;
  std::vector<std::string> false_values;

 private:
  static bool Contains(const std::vector<std::string>& values, std::string_view text) {
    return std::find(values.begin(), values.end(), text) != values.end();
  }
};

}  // namespace hayate::csv
