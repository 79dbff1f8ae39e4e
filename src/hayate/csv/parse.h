#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace hayate::csv {

/// Why a text is not a value of a type.
enum class ParseFault : uint8_t {
  kNone,
  kSyntax,     ///< it is not written like one
  kRange,      ///< the type cannot hold it
  kPrecision,  ///< it has more digits after the point or second than the type can hold
};

// None of these accepts blanks around a value. *out is unspecified after a fault.

/// Decimal digits with an optional sign.
template <typename T>
ParseFault ParseInteger(std::string_view text, T* out);

/// Decimal or exponent form, correctly rounded; NaN, inf and infinity in any case, with a sign.
/// What is too large is kRange, what is too small is rounded to zero.
ParseFault ParseDouble(std::string_view text, double* out);
ParseFault ParseFloat(std::string_view text, float* out);

/// A spelling of NaN or infinity that ParseDouble takes.
bool IsNanOrInfinity(std::string_view text);

/// Exact decimal digits, exponent allowed, as an integer scaled by 10^scale.
ParseFault ParseDecimal128(std::string_view text, int precision, int scale, arrow::Decimal128* out);
ParseFault ParseDecimal256(std::string_view text, int precision, int scale, arrow::Decimal256* out);

/// YYYY-MM-DD, years 0001 to 9999 of the proleptic Gregorian calendar: days since 1970-01-01.
ParseFault ParseDate(std::string_view text, int32_t* days);

/// HH:MM:SS[.fraction] since midnight.
ParseFault ParseTime(std::string_view text, arrow::TimeUnit::type unit, int64_t* out);

/// Which forms a timestamp may have.
enum class ZoneForm : uint8_t {
  kNone,      ///< no zone: DATETIME
  kRequired,  ///< a zone: what inference calls a TIMESTAMP
  kOptional,  ///< without one it is UTC, as in BigQuery: TIMESTAMP by schema
};

/// A date, then (a blank or T) a time, then the zone: ` UTC`, `Z`, or an offset ±HH, ±HHMM, ±HH:MM
/// with or without a blank before it. A date alone is midnight if `date_alone`. Result in UTC.
ParseFault ParseTimestamp(std::string_view text, arrow::TimeUnit::type unit, ZoneForm zone,
                          bool date_alone, int64_t* out);

/// RFC 4648 base64 with padding; appends the bytes.
ParseFault ParseBase64(std::string_view text, std::string* out);

}  // namespace hayate::csv
