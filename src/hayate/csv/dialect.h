#pragma once

#include <cstdint>
#include <string>

namespace hayate::csv {

/// How records and fields are told apart (RFC 4180, and what is written besides). A quote opens a
/// quoted field only at the field's start; elsewhere it is text.
struct Dialect {
  uint8_t delimiter = ',';
  uint8_t quote = '"';
  bool has_quote = true;
  /// The character after it is text, whatever it is, in and outside of quotes.
  uint8_t escape = '\\';
  bool has_escape = false;
  /// Blanks at the start of a field, before its quote too, are nothing.
  bool skip_initial_space = false;
  /// A line that begins with it, outside of quotes, is nothing; empty: there are none. Holds no
  /// other character of the dialect, and no line end.
  std::string comment_prefix;

  bool operator==(const Dialect& other) const = default;

  /// Whether fields have no text but what stands between their separators or quotes.
  bool is_plain() const { return !has_escape && !skip_initial_space && comment_prefix.empty(); }
};

}  // namespace hayate::csv
