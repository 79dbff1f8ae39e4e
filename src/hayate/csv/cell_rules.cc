#include "hayate/csv/cell_rules.h"

#include "hayate/csv/classify.h"

namespace hayate::csv {

CellRules::CellRules(const ReadOptions& options)
    : nulls(options.null_values),
      marks{.decimal = options.decimal_point, .thousands = options.thousands},
      empty_mark(options.empty_mark),
      true_values(options.true_values),
      false_values(options.false_values) {
  std::vector<std::string> bools;
  for (const auto* spellings : {&true_values, &false_values}) {
    for (const std::string& spelling : *spellings) {
      // As a cell that is no boolean: there are no inferred ones yet.
      const CellClass other = Classify(spelling, *this);
      constexpr ClassSet kAllowed =
          SetOf(CellClass::kText) | SetOf(CellClass::kCode) | SetOf(CellClass::kInteger);
      if ((SetOf(other) & kAllowed) != 0) bools.push_back(spelling);
    }
  }
  inferred_bools = std::move(bools);
}

}  // namespace hayate::csv
