#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "hayate/csv/cell.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// For values of types in which quotes within quotes are never right.
struct NotTaken {
  bool operator()(int64_t, const uint8_t*, size_t) const { return false; }
};

/// Calls, for each row in [begin, end) of a field, the first of these that takes it:
/// - on_null(row);
/// - on_quoted(row, text, size) → bool, for what stands between quotes, two of which mean one; not
///   where there are escapes;
/// - on_plain(row, text, size) → bool, for a value that is written as it is, but for quotes around
///   it;
/// - on_value(row, text) → ParseFault. A fault goes to on_bad(BadCell) → bool, and ends the walk if
///   that gives false.
/// What the calls are given is valid during the call; behind `text` of on_plain and on_quoted,
/// kScanPaddingBytes may be read.
template <typename OnNull, typename OnPlain, typename OnValue, typename OnBad,
          typename OnQuoted = NotTaken>
void WalkField(const TextBlock& block, int field, const CellRules& rules, int64_t begin,
               int64_t end, OnNull on_null, OnPlain on_plain, OnValue on_value, OnBad on_bad,
               OnQuoted on_quoted = {}) {
  const uint8_t* const text = block.text.data();
  const auto columns = static_cast<size_t>(block.columns);
  const uint32_t* field_end = block.ends.data() + block.first_end + 1 +
                              static_cast<size_t>(begin) * columns + static_cast<size_t>(field);
  const bool any_escape = block.any_escape;
  const bool skips_space = block.dialect.skip_initial_space;
  const bool is_first = field == 0;
  const NullSpellings& nulls = rules.nulls;
  const bool empty_is_null = nulls.has_empty();
  const bool only_empty = nulls.has_only_empty();
  const int quote = block.any_quote ? block.dialect.quote : -1;
  // Whether a field that is not empty and begins with no quote is a value as it stands.
  const bool usual = !is_first && !skips_space && !any_escape && only_empty;
  std::string scratch;
  for (int64_t row = begin; row < end; ++row, field_end += columns) {
    size_t start = static_cast<uint32_t>(field_end[-1] + 1);
    size_t size = *field_end - start;
    bool is_plain = true;
    if (!usual || size == 0 || text[start] == quote) [[unlikely]] {
      if (is_first) start = block.RowStart(static_cast<uint32_t>(start), *field_end);
      if (skips_space) start = block.FieldStart(static_cast<uint32_t>(start), *field_end);
      size = *field_end - start;
      if (size == 0 && empty_is_null) {
        on_null(row);
        continue;
      }
      if (size != 0 && text[start] == quote) {
        ++start;
        size = std::max(size, size_t{2}) - 2;
        if (!any_escape && on_quoted(row, text + start, size)) continue;
        is_plain = size == 0 || std::memchr(text + start, quote, size) == nullptr;
      } else if (!only_empty && nulls.IsNull(std::string_view(
                                    reinterpret_cast<const char*>(text) + start, size))) {
        on_null(row);
        continue;
      }
      if (any_escape && size != 0) {
        is_plain &= std::memchr(text + start, block.dialect.escape, size) == nullptr;
      }
    }
    if (is_plain && on_plain(row, text + start, size)) [[likely]] {
      continue;
    }
    const Cell cell = CellOf(block.RawField(row, field), block.dialect, &scratch);
    const ParseFault fault = on_value(row, cell.text);
    if (fault == ParseFault::kNone) [[likely]] {
      continue;
    }
    if (!on_bad(BadCell{
            .row = row, .fault = fault, .value = std::string(cell.text), .quoted = cell.quoted})) {
      return;
    }
  }
}

}  // namespace hayate::csv
