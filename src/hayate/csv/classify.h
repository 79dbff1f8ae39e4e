#pragma once

#include <cstdint>
#include <string_view>

#include "hayate/csv/cell_rules.h"

namespace hayate::csv {

/// What an inferred column's value looks like. A set of them (one bit each) decides the type.
enum class CellClass : uint8_t {
  kBool,
  kBoolInteger,        ///< a kInteger that the options name as a spelling of true or false
  kInteger,            ///< fits int64 and is exact in double
  kInexactInteger,     ///< fits int64 and is not exact in double
  kBigInteger,         ///< does not fit int64 and is exact in double
  kInexactBigInteger,  ///< neither
  kReal,               ///< decimal or exponent form
  kNan,                ///< NaN or infinity, spelled out
  kDate,
  kDateTime,   ///< date and time without a zone, to the microsecond
  kTimestamp,  ///< date and time with a zone, to the microsecond
  kCode,       ///< digits that are no number: with a leading zero or a plus sign
  kText,       ///< everything else, the empty string too
};

inline constexpr int kCellClasses = 13;

/// A set of CellClass.
using ClassSet = uint32_t;

constexpr ClassSet SetOf(CellClass cell_class) {
  return ClassSet{1} << static_cast<unsigned>(cell_class);
}

/// `text` is not a null.
CellClass Classify(std::string_view text, const CellRules& rules);

/// A number as inference takes it: no sign + and no leading zero.
enum class PlainForm : uint8_t { kNone, kInteger, kReal };

/// Integers: -?(0|[1-9][0-9]*) without -0. Reals: such an integer part (or none, or -0), then
/// digits after a point, an exponent, or both.
PlainForm PlainFormOf(std::string_view text);

/// Whether an integer has an exact double.
bool IsExactInDouble(int64_t value);
/// The same for a plain integer of any length.
bool IsExactInDouble(std::string_view plain_integer);

}  // namespace hayate::csv
