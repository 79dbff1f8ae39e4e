#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::csv {

/// How CSV text is read. Names follow pyarrow.csv where they mean the same.
struct ReadOptions {
  char delimiter = ',';
  char quote_char = '"';
  bool header = true;                     ///< the first record names the columns
  std::vector<std::string> column_names;  ///< instead of a header; needs header = false
  /// Unquoted spellings of null. A quoted empty field is the empty string.
  std::vector<std::string> null_values = {""};
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
};

Json ToJson(const ReadOptions& options);
Result<ReadOptions> ReadOptionsFromJson(const Json& json, const std::string& name);

/// BigQuery's names (INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, STRING, BYTES, DATE, TIME,
/// DATETIME, TIMESTAMP, JSON, GEOGRAPHY, INTERVAL, RANGE, their aliases and parameters) and Arrow's
/// (int64, double, string, …), any case. STRING → string (utf8), TIMESTAMP → timestamp[us, UTC],
/// DATETIME → timestamp[us], TIME → time64[us], NUMERIC → decimal128(38, 9), BIGNUMERIC →
/// decimal256(76, 38), BYTES → binary; those without a type of Arrow's own → string.
Result<std::shared_ptr<arrow::DataType>> TypeFromName(const std::string& name);

}  // namespace hayate::csv
