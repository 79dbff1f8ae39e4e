#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hayate/csv/cell.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// Calls on_null(row) or on_value(row, text) → ParseFault for each row of a field; stops at the
/// first fault and puts it into *bad. `text` is valid during the call.
template <typename OnNull, typename OnValue>
void WalkField(const TextBlock& block, int field, const CellRules& rules,
               std::optional<BadCell>* bad, OnNull on_null, OnValue on_value) {
  std::string scratch;
  const auto quote = static_cast<char>(block.quote);
  for (int64_t row = 0; row < block.rows; ++row) {
    const Cell cell = CellOf(block.RawField(row, field), quote, &scratch);
    if (rules.nulls.IsNull(cell)) {
      on_null(row);
      continue;
    }
    const ParseFault fault = on_value(row, cell.text);
    if (fault == ParseFault::kNone) [[likely]] {
      continue;
    }
    *bad =
        BadCell{.row = row, .fault = fault, .value = std::string(cell.text), .quoted = cell.quoted};
    return;
  }
}

}  // namespace hayate::csv
