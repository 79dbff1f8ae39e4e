#include <arrow/type.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "hayate/csv/options.h"

namespace hayate::csv {
namespace {

std::string Named(const std::string& name) {
  const auto type = TypeFromName(name);
  return type.ok() ? (*type)->ToString() : "none";
}

TEST(TypeFromName, KnowsBigQuerysTypesTheirAliasesAndParameters) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"INT64", "int64"},
      {"INT", "int64"},
      {"SMALLINT", "int64"},
      {"INTEGER", "int64"},
      {"BIGINT", "int64"},
      {"TINYINT", "int64"},
      {"BYTEINT", "int64"},
      {"FLOAT64", "double"},
      {"FLOAT", "double"},
      {"BOOLEAN", "bool"},
      {"STRING(20)", "string"},
      {"string( 20 )", "string"},
      {"BYTES(16)", "binary"},
      {"NUMERIC", "decimal128(38, 9)"},
      {"DECIMAL(12)", "decimal128(12, 0)"},
      {"NUMERIC(12, 2)", "decimal128(12, 2)"},
      {"BIGDECIMAL(50,10)", "decimal256(50, 10)"},
      {"INTERVAL", "string"},
      {"RANGE", "string"},
      {"RANGE<DATE>", "string"},
      {"range<timestamp>", "string"},
      {"timestamp[ms, tz=Asia/Tokyo]", "timestamp[ms, tz=Asia/Tokyo]"},
  };
  for (const auto& [name, type] : cases) EXPECT_EQ(Named(name), type) << name;
  for (const char* name : {"STRING(0)", "STRING()", "STRING(a)", "STRING(1, 2)", "BYTES(-1)",
                           "NUMERIC(0)", "INT64(5)", "RANGE<>", "RANGE<INT64>", "ARRAY<INT64>"}) {
    EXPECT_EQ(Named(name), "none") << name;
  }
}

}  // namespace
}  // namespace hayate::csv
