#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/dialect.h"

namespace hayate::csv {

/// What a field says: its text without quotes and escapes, and whether it had quotes (an unquoted
/// empty field is null, a quoted one is the empty string).
struct Cell {
  std::string_view text;
  bool quoted = false;
  std::string_view raw = {};  ///< as it is written
};

/// Appends `inside` (what lies between the outer quotes, or an unquoted field) to `out`: two quotes
/// made one, and of an escape and what follows it the latter.
inline void AppendUnescaped(std::string_view inside, const Dialect& dialect, bool quoted,
                            std::string* out) {
  const auto quote = static_cast<char>(dialect.quote);
  const auto escape = static_cast<char>(dialect.escape);
  while (!inside.empty()) {
    size_t at = quoted ? inside.find(quote) : std::string_view::npos;
    if (dialect.has_escape) at = std::min(at, inside.find(escape));
    // What stands at `at` is left out, if anything follows it; that is text.
    const bool last = at >= inside.size() - 1;
    out->append(inside.substr(0, last ? inside.size() : at));
    if (last) return;
    out->push_back(inside[at + 1]);
    inside.remove_prefix(at + 2);
  }
}

/// The cell of a raw field. `scratch` holds the text if it is not a part of `raw`.
inline Cell CellOf(std::string_view raw, const Dialect& dialect, std::string* scratch) {
  const auto has = [](std::string_view text, uint8_t byte) {
    return !text.empty() && std::memchr(text.data(), byte, text.size()) != nullptr;
  };
  const bool quoted =
      dialect.has_quote && !raw.empty() && static_cast<uint8_t>(raw.front()) == dialect.quote;
  const std::string_view inside = quoted ? raw.substr(1, raw.size() - 2) : raw;
  if (!(quoted && has(inside, dialect.quote)) &&
      !(dialect.has_escape && has(inside, dialect.escape))) {
    return {inside, quoted, raw};
  }
  scratch->clear();
  AppendUnescaped(inside, dialect, quoted, scratch);
  return {*scratch, quoted, raw};
}

/// A value without the blanks and tabs around it: of all types but strings, they are none of it.
inline std::string_view WithoutBlanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
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

  bool IsNull(const Cell& cell) const { return !cell.quoted && IsNull(cell.raw); }

  /// Of an unquoted field, as it is written: `\N` is a spelling where the backslash is an escape.
  bool IsNull(std::string_view raw) const {
    if (raw.empty()) return empty_;
    return !only_empty_ && std::find(values_.begin(), values_.end(), raw) != values_.end();
  }

 private:
  std::vector<std::string> values_;
  bool empty_ = false;
  bool only_empty_ = true;
};

}  // namespace hayate::csv
