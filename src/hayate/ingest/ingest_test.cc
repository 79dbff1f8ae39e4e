#include "hayate/ingest/ingest.h"

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

using TablePtr = std::shared_ptr<arrow::Table>;

TablePtr Read(const TestFiles& files, const IngestOptions& options = {},
              std::vector<std::string>* warnings = nullptr) {
  auto table = IngestToTable(files.Objects(), options, warnings);
  EXPECT_TRUE(table.ok()) << table.status();
  if (!table.ok()) return nullptr;
  EXPECT_TRUE((*table)->ValidateFull().ok());
  return *table;
}

std::string TypeOf(const TablePtr& table, const std::string& column) {
  return table->schema()->GetFieldByName(column)->type()->ToString();
}

std::string ValueOf(const TablePtr& table, const std::string& column, int64_t row) {
  return table->GetColumnByName(column)->GetScalar(row).ValueOrDie()->ToString();
}

TEST(IngestToTable, ReadsShardsInOrderWithNullsAndEmptyStrings) {
  TestFiles files;
  files.Add("a.csv.gz", TestFiles::Gzip("id,name,when\n1,x,2026-01-01 00:00:00.5 UTC\n2,,\n"));
  files.Add("b.csv", "id,name,when\n3,\"\",2026-01-02 00:00:00 UTC\n4,\"a,\"\"b\"\"\n\",\n");
  for (const int threads : {1, 2, 5}) {
    const auto table = Read(files, {.threads = threads});
    ASSERT_EQ(table->num_rows(), 4);
    EXPECT_EQ(TypeOf(table, "id"), "int64");
    EXPECT_EQ(TypeOf(table, "name"), "string");
    EXPECT_EQ(TypeOf(table, "when"), "timestamp[us, tz=UTC]");
    EXPECT_EQ(ValueOf(table, "id", 2), "3");
    EXPECT_EQ(ValueOf(table, "name", 1), "null");
    EXPECT_EQ(ValueOf(table, "name", 2), "");
    EXPECT_EQ(ValueOf(table, "name", 3), "a,\"b\"\n");
    EXPECT_EQ(ValueOf(table, "when", 0), "2026-01-01 00:00:00.500000Z");
  }
}

}  // namespace
}  // namespace hayate::ingest
