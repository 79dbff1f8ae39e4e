#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/csv/dialect.h"

namespace hayate::csv {

/// What becomes of a value or a row that cannot be read.
enum class OnError {
  kFail,  ///< an error
  kNull,  ///< the value is null; a row whose values cannot be told from each other is left out
  kQuarantine,  ///< the row is put aside, as text
};

/// How CSV text is read. Names follow pyarrow.csv, Polars and pandas where they mean the same.
struct ReadOptions {
  char delimiter = ',';
  char quote_char = '"';            ///< NUL: none, quotes are text
  char escape_char = '\0';          ///< makes the character after it text; NUL: none
  bool skip_initial_space = false;  ///< blanks at the start of a field are nothing
  std::string comment_prefix;       ///< lines that begin with it are left out; empty: none
  int64_t skip_rows = 0;  ///< lines at the start of each file, whatever they hold, before a header
  bool header = true;     ///< the first record names the columns
  /// Instead of a header; needs header = false. Without either: column_1, column_2, …
  std::vector<std::string> column_names;
  bool detect = false;  ///< the members above are found from the start of the first file (detect.h)
  std::string encoding = "utf-8";    ///< see decode.h
  bool replace_undecodable = false;  ///< bytes that are no text become U+FFFD; else an error
  char decimal_point = '.';
  char thousands = '\0';  ///< between groups of three digits; NUL: none
  OnError on_error = OnError::kFail;
  /// Unquoted spellings of null. A quoted empty field is the empty string.
  std::vector<std::string> null_values = {""};
  /// In columns of strings and bytes an empty value is null, in quotes or not, and a value that
  /// begins with this character has it as a mark, to be taken off: how an export keeps null and
  /// empty apart whatever its writer quotes. NUL: none. Not an option of users: not in the JSON.
  char empty_mark = '\0';
  /// Spellings of booleans. Inference takes those that are values of another type as that; integers
  /// are booleans in a column that holds no others.
  std::vector<std::string> true_values = {"true", "True", "TRUE"};
  std::vector<std::string> false_values = {"false", "False", "FALSE"};
  /// Types by column name, in hayate's type names (see TypeFromName). Columns left out are
  /// inferred.
  std::map<std::string, std::string> schema;
  /// Only these, in this order; empty: all, in the order of the first shard.
  std::vector<std::string> columns;
  /// Text per block that is parsed at once, small enough for a core's cache; where there are more
  /// than 256 columns, 1/256 of it for each, so that a block holds some rows.
  int64_t block_bytes = 1024 * 1024;
  /// Text from which types are inferred, at the start of each of up to 8 shards.
  int64_t sample_bytes = 1024 * 1024;

  Status Validate() const;

  /// What the scanner needs of them.
  Dialect dialect() const;
};

Json ToJson(const ReadOptions& options);
Result<ReadOptions> ReadOptionsFromJson(const Json& json, const std::string& name);

/// BigQuery's names (INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, STRING, BYTES, DATE, TIME,
/// DATETIME, TIMESTAMP, JSON, GEOGRAPHY, INTERVAL, RANGE, their aliases and parameters) and Arrow's
/// (int64, double, string, …), any case. STRING → string (utf8), TIMESTAMP → timestamp[us, UTC],
/// DATETIME → timestamp[us], TIME → time64[us], NUMERIC → decimal128(38, 9), BIGNUMERIC →
/// decimal256(76, 38), BYTES → binary; those without a type of Arrow's own → string. DICTIONARY (or
/// CATEGORY) → dictionary(int32, utf8), for strings of which there are few different ones.
Result<std::shared_ptr<arrow::DataType>> TypeFromName(const std::string& name);

}  // namespace hayate::csv
