#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hayate::csv {

/// How numbers are written: what stands before their fraction, and what between groups of three
/// digits before it.
struct NumberMarks {
  char decimal = '.';
  char thousands = '\0';  ///< NUL: nothing

  bool are_usual() const { return decimal == '.' && thousands == '\0'; }

  /// The number that `text` is, in the usual form, which the parsers take; what they would not take
  /// comes out as that, or as nothing. Groups must have three digits, and the first no zero in
  /// front: another mark is likelier to be the other one's. `scratch` may hold the result.
  std::optional<std::string_view> ToUsual(std::string_view text, std::string* scratch) const;
};

}  // namespace hayate::csv
