#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// What a field says: its text without quotes, and whether it had any (an unquoted empty field is
/// null, a quoted one is the empty string).
struct Cell {
  std::string_view text;
  bool quoted = false;
};

/// Appends `inside` (between the outer quotes) to `out`, two quotes made one.
inline void AppendUnescaped(std::string_view inside, char quote, std::string* out) {
  while (true) {
    const size_t at = inside.find(quote);
    if (at == std::string_view::npos) break;
    out->append(inside.substr(0, at + 1));
    inside.remove_prefix(std::min(inside.size(), at + 2));
  }
  out->append(inside);
}

/// The cell of a raw field. `scratch` holds the text if quotes were doubled in it.
inline Cell CellOf(std::string_view raw, char quote, std::string* scratch) {
  if (raw.empty() || raw.front() != quote) return {raw, false};
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  if (std::memchr(inside.data(), quote, inside.size()) == nullptr) return {inside, true};
  scratch->clear();
  AppendUnescaped(inside, quote, scratch);
  return {*scratch, true};
}

/// The unquoted spellings of null.
class NullSpellings {
 public:
  explicit NullSpellings(const std::vector<std::string>& values) : values_(values) {
    for (const std::string& value : values) {
      if (value.empty()) {
        empty_ = true;
      } else {
        only_empty_ = false;
      }
    }
  }

  /// Whether the empty field is one, and whether nothing else is.
  bool has_empty() const { return empty_; }
  bool has_only_empty() const { return only_empty_; }

  bool IsNull(const Cell& cell) const {
    if (cell.quoted) return false;
    if (cell.text.empty()) return empty_;
    return !only_empty_ && std::find(values_.begin(), values_.end(), cell.text) != values_.end();
  }

 private:
  std::vector<std::string> values_;
  bool empty_ = false;
  bool only_empty_ = true;
};

}  // namespace hayate::csv
