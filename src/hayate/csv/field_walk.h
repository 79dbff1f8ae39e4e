#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hayate/csv/cell.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// Calls, for each row in [begin, end) of a field, on_null(row), or on_plain(row, text, size) →
/// bool for a value without quotes, or on_value(row, text) → ParseFault where that gave false or
/// there are quotes. Stops at the first fault and puts it into *bad. What the calls are given is
/// valid during the call; behind `text` of on_plain, kScanPaddingBytes may be read.
template <typename OnNull, typename OnPlain, typename OnValue>
void WalkField(const TextBlock& block, int field, const CellRules& rules, int64_t begin,
               int64_t end, std::optional<BadCell>* bad, OnNull on_null, OnPlain on_plain,
               OnValue on_value) {
  const uint8_t* const text = block.text.data();
  const auto columns = static_cast<size_t>(block.columns);
  const uint32_t* field_end = block.ends.data() + block.first_end + 1 +
                              static_cast<size_t>(begin) * columns + static_cast<size_t>(field);
  const bool any_quote = block.any_quote;
  const uint8_t quote = block.quote;
  const bool is_first = field == 0;
  const NullSpellings& nulls = rules.nulls;
  const bool empty_is_null = nulls.has_empty();
  const bool only_empty = nulls.has_only_empty();
  std::string scratch;
  for (int64_t row = begin; row < end; ++row, field_end += columns) {
    size_t start = static_cast<uint32_t>(field_end[-1] + 1);
    const size_t stop = *field_end;
    if (is_first) start = block.SkipLineFeeds(static_cast<uint32_t>(start), *field_end);
    const size_t size = stop - start;
    if (size == 0 && empty_is_null) {
      on_null(row);
      continue;
    }
    const bool is_quoted = any_quote && size != 0 && text[start] == quote;
    if (!is_quoted) {
      const std::string_view plain(reinterpret_cast<const char*>(text) + start, size);
      if (!only_empty && nulls.IsNull({plain, false})) {
        on_null(row);
        continue;
      }
      if (on_plain(row, text + start, size)) [[likely]] {
        continue;
      }
    }
    const Cell cell = CellOf(block.RawField(row, field), static_cast<char>(quote), &scratch);
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
