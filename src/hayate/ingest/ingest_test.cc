#include "hayate/ingest/ingest.h"

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

using TablePtr = std::shared_ptr<arrow::Table>;

TablePtr Read(const TestFiles& files, const IngestOptions& options = {},
              std::vector<std::string>* warnings = nullptr) {
  auto table = IngestToTable(files.Objects(), options);
  EXPECT_TRUE(table.ok()) << table.status();
  if (!table.ok()) return nullptr;
  EXPECT_TRUE(table->rows->ValidateFull().ok());
  if (warnings != nullptr) *warnings = table->warnings;
  return table->rows;
}

// What a person would be told, without the file's directory.
std::string ErrorOf(const TestFiles& files, const IngestOptions& options = {}) {
  const auto table = IngestToTable(files.Objects(), options);
  if (table.ok()) return "";
  const auto* detail = FaultDetail::Get(table.status());
  if (detail == nullptr) return table.status().ToString();
  EXPECT_NE(detail->remedy(), "");
  std::string text = std::string(FaultName(detail->fault())) + ": " + table.status().message() +
                     " @ " + detail->where().ToString();
  const std::string dir = files.Path("");
  for (size_t at = text.find(dir); at != std::string::npos; at = text.find(dir)) {
    text.erase(at, dir.size());
  }
  return text;
}

std::string TypeOf(const TablePtr& table, const std::string& column) {
  return table->schema()->GetFieldByName(column)->type()->ToString();
}

std::string ValueOf(const TablePtr& table, const std::string& column, int64_t row) {
  return table->GetColumnByName(column)->GetScalar(row).ValueOrDie()->ToString();
}

IngestOptions WithSchema(std::map<std::string, std::string> schema) {
  IngestOptions options;
  options.csv.schema = std::move(schema);
  return options;
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

TEST(IngestToTable, ReadsEveryTypeOfBigQueryBySchema) {
  TestFiles files;
  files.Add(
      "a.csv",
      "i,f,n,bn,b,s,y,d,t,dt,ts,j,g\n"
      "007,1e3,12.5,-0.00000000000000000000000000000000000001,true,x,aGk=,2026-11-24,"
      "12:34:56.5,2026-11-24T01:02:03,2026-11-24 01:02:03.25 UTC,\"{\"\"a\"\":1}\",POINT(1 2)\n"
      ",,,,,,,,,,,,\n");
  const auto table = Read(files, WithSchema({{"i", "INT64"},
                                             {"f", "FLOAT64"},
                                             {"n", "NUMERIC"},
                                             {"bn", "BIGNUMERIC"},
                                             {"b", "BOOL"},
                                             {"s", "STRING"},
                                             {"y", "BYTES"},
                                             {"d", "DATE"},
                                             {"t", "TIME"},
                                             {"dt", "DATETIME"},
                                             {"ts", "TIMESTAMP"},
                                             {"j", "JSON"},
                                             {"g", "GEOGRAPHY"}}));
  ASSERT_EQ(table->num_rows(), 2);
  EXPECT_EQ(ValueOf(table, "i", 0), "7");
  EXPECT_EQ(ValueOf(table, "f", 0), "1000");
  EXPECT_EQ(ValueOf(table, "n", 0), "12.500000000");
  EXPECT_EQ(ValueOf(table, "bn", 0), "-1E-38");
  EXPECT_EQ(ValueOf(table, "b", 0), "true");
  EXPECT_EQ(TypeOf(table, "y"), "binary");
  EXPECT_EQ(ValueOf(table, "d", 0), "2026-11-24");
  EXPECT_EQ(ValueOf(table, "t", 0), "12:34:56.500000");
  EXPECT_EQ(TypeOf(table, "dt"), "timestamp[us]");
  EXPECT_EQ(ValueOf(table, "ts", 0), "2026-11-24 01:02:03.250000Z");
  EXPECT_EQ(ValueOf(table, "j", 0), "{\"a\":1}");
  for (const auto& column : table->columns()) EXPECT_EQ(column->null_count(), 1);
}

TEST(Inference, GivesEachColumnTheTypeOfAllItsValues) {
  TestFiles files;
  files.Add(
      "a.csv",
      "int,real,mixed,code,plus,bool,date,dt,ts,nothing,nan,quoted\n"
      "1,0.5,1,007,+1,true,2026-01-01,2026-01-01 00:00:00,2026-01-01 00:00:00 UTC,,NaN,\"1\"\n"
      "-2,1e5,2.5,12,2,False,2026-01-02,2026-01-01T00:00:01,2026-01-01T00:00:00Z,,1,\"2\"\n");
  std::vector<std::string> warnings;
  const auto table = Read(files, {}, &warnings);
  const std::vector<std::string> expected = {
      "int64",       "double",        "double",
      "string",      "string",        "bool",
      "date32[day]", "timestamp[us]", "timestamp[us, tz=UTC]",
      "string",      "double",        "int64"};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(table->schema()->field(static_cast<int>(i))->type()->ToString(), expected[i])
        << table->schema()->field(static_cast<int>(i))->name();
  }
  EXPECT_EQ(ValueOf(table, "code", 0), "007");
  EXPECT_TRUE(warnings.empty()) << warnings[0];
}

// A sample of nothing at all makes every value a surprise.
TEST(Inference, DoesNotDependOnTheSample) {
  TestFiles files;
  files.Add("a.csv", "a,b,c,d\n,1,1,true\n,2,2,false\n");
  files.Add("b.csv", "a,b,c,d\n7,,3.5,\n,4,x,true\n");
  for (const int64_t sample_bytes : {0, 1, 10, 1000}) {
    for (const int threads : {1, 3}) {
      IngestOptions options{.threads = threads};
      options.csv.sample_bytes = sample_bytes;
      options.csv.block_bytes = 4;
      const auto table = Read(files, options);
      EXPECT_EQ(TypeOf(table, "a"), "int64");
      EXPECT_EQ(TypeOf(table, "b"), "int64");
      EXPECT_EQ(TypeOf(table, "c"), "string");
      EXPECT_EQ(TypeOf(table, "d"), "bool");
      EXPECT_EQ(ValueOf(table, "c", 0), "1");
      EXPECT_EQ(ValueOf(table, "c", 3), "x");
    }
  }
}

// Reads the same files with samples, threads and blocks of all sizes: types, rows and warnings are
// the same. Returns what is so.
struct Outcome {
  TablePtr table;
  std::vector<std::string> warnings;
};
Outcome WithAnySample(const TestFiles& files, IngestOptions options = {}) {
  Outcome first;
  for (const int64_t sample_bytes : {1000000, 0, 1, 10, 100}) {
    for (const int threads : {1, 3}) {
      for (const int64_t block_bytes : {4, 1000}) {
        options.threads = threads;
        options.csv.sample_bytes = sample_bytes;
        options.csv.block_bytes = block_bytes;
        Outcome outcome;
        outcome.table = Read(files, options, &outcome.warnings);
        if (first.table == nullptr) first = outcome;
        EXPECT_TRUE(outcome.table->schema()->Equals(*first.table->schema()))
            << sample_bytes << ": " << outcome.table->schema()->ToString();
        EXPECT_EQ(outcome.warnings, first.warnings) << sample_bytes;
      }
    }
  }
  return first;
}

TEST(Inference, WaitsWithWordsForNanAndBigIntegersUntilTheEnd) {
  TestFiles files;
  files.Add("a.csv", "n,big,words,ids,both\nNaN,9223372036854775808,NaN,18446744073709551616,1\n");
  files.Add("b.csv", "n,big,words,ids,both\n1,0.5,inf,18446744073709551616,9223372036854775808\n");
  const auto [table, warnings] = WithAnySample(files);
  EXPECT_EQ(TypeOf(table, "n"), "double");
  EXPECT_EQ(TypeOf(table, "big"), "double");
  EXPECT_EQ(TypeOf(table, "words"), "string");
  EXPECT_EQ(TypeOf(table, "ids"), "string");
  EXPECT_EQ(TypeOf(table, "both"), "string");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("column both"), std::string::npos) << warnings[0];
}

TEST(Inference, IntegersThatSpellBooleansAreWhatTheOthersAre) {
  IngestOptions options;
  options.csv.true_values = {"1", "yes", "2.0"};
  options.csv.false_values = {"0"};
  TestFiles files;
  files.Add("a.csv", "flag,words,count,share,real,mixed\n1,yes,1,1,2.0,yes\n0,1,0,0,1.0,1\n");
  files.Add("b.csv", "flag,words,count,share,real,mixed\n1,0,2,0.5,1.5,3\n");
  const auto [table, warnings] = WithAnySample(files, options);
  EXPECT_EQ(TypeOf(table, "flag"), "bool");
  EXPECT_EQ(TypeOf(table, "words"), "bool");
  EXPECT_EQ(TypeOf(table, "count"), "int64");
  EXPECT_EQ(TypeOf(table, "share"), "double");
  EXPECT_EQ(TypeOf(table, "real"), "double");
  EXPECT_EQ(TypeOf(table, "mixed"), "string");
  EXPECT_EQ(ValueOf(table, "flag", 0), "true");
  EXPECT_EQ(warnings.size(), 1U);
}

TEST(Warnings, NameTheFirstCellsThatDoNotGoTogetherWhereverTheyLie) {
  TestFiles files;
  std::string start = "stray,late,quoted,code,text,real\n";
  for (int i = 0; i < 20; ++i) start += "1,,1,12,word,1.5\n";
  files.Add("a.csv", start + "N/A,5,\"x\"\"y\",007,7,NaN\n2,6,2,1,word,2\n");
  files.Add("b.csv", "stray,late,quoted,code,text,real\n3,soon,\"3\",1,2026-01-01,\"hm, no\"\n");
  const auto [table, warnings] = WithAnySample(files);
  for (const auto& field : table->schema()->fields()) {
    EXPECT_EQ(field->type()->ToString(), "string") << field->name();
  }
  const std::string a = "(" + files.Path("a.csv") + ", row ";
  const std::string b = "(" + files.Path("b.csv") + ", row ";
  const std::string end = "; name its type in schema= to decide it";
  const std::string words = " does not go together with ";
  EXPECT_EQ(warnings, (std::vector<std::string>{"column stray is read as string: \"N/A\" " + a +
                                                    "21)" + words + "\"1\" " + a + "1)" + end,
                                                "column late is read as string: \"soon\" " + b +
                                                    "1)" + words + "\"5\" " + a + "21)" + end,
                                                "column quoted is read as string: \"x\"y\" " + a +
                                                    "21)" + words + "\"1\" " + a + "1)" + end,
                                                "column real is read as string: \"hm, no\" " + b +
                                                    "1)" + words + "\"1.5\" " + a + "1)" + end}))
      << "codes and text hold numbers, too: no surprise";
}

TEST(Warnings, NameTheReasonAndNotAnyPair) {
  TestFiles files;
  files.Add("a.csv", "x\n1\n\"9007199254740993\"\n9223372036854775808\nNaN\n-2.5\n");
  const auto [table, warnings] = WithAnySample(files);
  EXPECT_EQ(TypeOf(table, "x"), "string");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("\"9223372036854775808\" (" + files.Path("a.csv") + ", row 3)"),
            std::string::npos)
      << warnings[0];
  EXPECT_NE(warnings[0].find("with \"9007199254740993\" ("), std::string::npos) << warnings[0];
}

TEST(Inference, IntegersBecomeDoubleOnlyIfEachIsExactThere) {
  TestFiles exact;
  exact.Add("a.csv", "x,y\n9007199254740992,1\n");
  exact.Add("b.csv", "x,y\n0.5,1\n");
  std::vector<std::string> warnings;
  EXPECT_EQ(TypeOf(Read(exact, {}, &warnings), "x"), "double");
  EXPECT_TRUE(warnings.empty());

  for (const int64_t sample_bytes : {0, 4, 1000}) {
    TestFiles inexact;
    inexact.Add("a.csv", "x,y\n1,1\n9007199254740993,1\n");
    inexact.Add("b.csv", "x,y\n3,1\n0.50,1\n");
    IngestOptions options{.threads = 2};
    options.csv.sample_bytes = sample_bytes;
    options.csv.block_bytes = 1;
    const auto table = Read(inexact, options, &warnings);
    EXPECT_EQ(TypeOf(table, "x"), "string");
    EXPECT_EQ(ValueOf(table, "x", 3), "0.50") << "the original text";
    ASSERT_EQ(warnings.size(), 1U);
    for (const char* part : {"column x", "\"9007199254740993\"", "a.csv, row 2", "\"0.50\"",
                             "b.csv, row 2", "schema="}) {
      EXPECT_NE(warnings[0].find(part), std::string::npos) << warnings[0];
    }
  }
}

TEST(Inference, ASurpriseAfterTheSampleWidensToStringWithOneWarning) {
  TestFiles files;
  std::string text = "when,n\n";
  for (int i = 0; i < 2000; ++i) text += "2026-01-01,1\n";
  files.Add("a.csv", text);
  files.Add("b.csv", text + "soon,1\n" + "later,1\n");
  IngestOptions options{.threads = 3};
  options.csv.sample_bytes = 100;
  options.csv.block_bytes = 1000;
  std::vector<std::string> warnings;
  const auto table = Read(files, options, &warnings);
  EXPECT_EQ(TypeOf(table, "when"), "string");
  EXPECT_EQ(TypeOf(table, "n"), "int64");
  EXPECT_EQ(table->num_rows(), 4002);
  EXPECT_EQ(ValueOf(table, "when", 4000), "soon");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("\"soon\" (" + files.Path("b.csv") + ", row 2001)"), std::string::npos)
      << warnings[0];
  EXPECT_NE(warnings[0].find("a.csv, row 1)"), std::string::npos) << warnings[0];
}

TEST(Columns, AreMatchedByNameAndProjected) {
  TestFiles files;
  files.Add("a.csv", "a,b,c\n1,2,x\n");
  files.Add("b.csv", "c,a,b\ny,3,4\n");
  EXPECT_EQ(ValueOf(Read(files), "b", 1), "4");
  IngestOptions options;
  options.csv.columns = {"c", "a"};
  const auto table = Read(files, options);
  EXPECT_EQ(table->schema()->field_names(), (std::vector<std::string>{"c", "a"}));
  EXPECT_EQ(ValueOf(table, "a", 1), "3");
}

TEST(Columns, ThatAreMissingOrTooManyNameBothShards) {
  TestFiles files;
  files.Add("a.csv", "a,b\n1,2\n");
  files.Add("b.csv", "a,c\n1,2\n");
  EXPECT_EQ(ErrorOf(files),
            "input: the column \"b\" is missing, which a.csv has @ b.csv, column b");
  TestFiles more;
  more.Add("a.csv", "a\n1\n");
  more.Add("b.csv", "a,c\n1,2\n");
  EXPECT_EQ(ErrorOf(more), "input: there is a column \"c\", which a.csv lacks @ b.csv, column c");
  IngestOptions options;
  options.csv.columns = {"a"};
  EXPECT_EQ(Read(more, options)->num_rows(), 2);
  options.csv.columns = {"z"};
  EXPECT_NE(ErrorOf(more, options).find("columns= names the column \"z\""), std::string::npos);
  EXPECT_NE(ErrorOf(more, WithSchema({{"z", "INT64"}})).find("schema= names the column \"z\""),
            std::string::npos);
  EXPECT_EQ(ErrorOf(more, WithSchema({{"a", "INT63"}})),
            "usage: \"INT63\" is not a type that CSV is read into @ column a");
}

TEST(Errors, NameObjectLineRowColumnAndValue) {
  TestFiles files;
  files.Add("a.csv", "a,b\n1,x\n2,\"y\n\"\n12x,z\n");
  EXPECT_EQ(
      ErrorOf(files, WithSchema({{"a", "INT64"}})),
      "input: the value \"12x\" is not a value of type int64 @ a.csv, line 5, row 3, column a");
  TestFiles utf8;
  utf8.Add("a.csv", "a\nok\nab\xff\n");
  EXPECT_EQ(
      ErrorOf(utf8),
      "input: the value \"ab\\xff\" is not UTF-8 (byte 0xff at offset 2 of the value) @ a.csv, "
      "line 3, row 2, column a");
  TestFiles fraction;
  fraction.Add("a.csv", "t\n2026-01-01 00:00:00.1234567 UTC\n");
  EXPECT_NE(ErrorOf(fraction, WithSchema({{"t", "TIMESTAMP"}})).find("more digits than"),
            std::string::npos);
  TestFiles empty_string;
  empty_string.Add("a.csv", "a,b\n\"\",1\n");
  EXPECT_NE(ErrorOf(empty_string, WithSchema({{"a", "INT64"}})).find("a quoted empty field is"),
            std::string::npos);
}

TEST(Errors, TheFirstByShardAndRowWinsWhateverTheSchedule) {
  TestFiles files;
  std::string good = "a,b\n";
  for (int i = 0; i < 500; ++i) good += "1,2\n";
  files.Add("a.csv", good);
  files.Add("b.csv", good + "1,2\n1,bad\nworse,2\n1\n" + good.substr(4));
  files.Add("c.csv", "a,b\nbad,1\n");
  files.Add("d.csv.gz", TestFiles::Gzip(good).substr(0, 30));
  IngestOptions options = WithSchema({{"a", "INT64"}, {"b", "INT64"}});
  for (const int threads : {1, 2, 4, 8}) {
    for (const int64_t block_bytes : {1, 7, 100, 1 << 20}) {
      options.threads = threads;
      options.csv.block_bytes = block_bytes;
      EXPECT_EQ(ErrorOf(files, options),
                "input: the value \"bad\" is not a value of type int64 @ b.csv, line 503, row 502, "
                "column b");
    }
  }
}

TEST(Errors, OfFilesWithoutRowsOrHeader) {
  TestFiles header_only;
  header_only.Add("a.csv", "a,b\n");
  EXPECT_NE(ErrorOf(header_only).find("input: there are no rows"), std::string::npos);
  const auto table = Read(header_only, {.allow_empty = true});
  EXPECT_EQ(table->num_rows(), 0);
  EXPECT_EQ(TypeOf(table, "a"), "string");
  TestFiles empty;
  empty.Add("a.csv", "");
  EXPECT_EQ(ErrorOf(empty, {.allow_empty = true}),
            "input: there is no header: the file is empty @ a.csv");
  TestFiles few;
  few.Add("a.csv", "a\n1\n");
  EXPECT_NE(ErrorOf(few, {.min_rows = 2}).find("1 rows, fewer than min_rows=2"), std::string::npos);
}

TEST(Errors, OfDamagedGzipComeAfterTheRowsBefore) {
  TestFiles files;
  std::string text = "a\n";
  for (int i = 0; i < 50000; ++i) text += std::to_string(i * 7919 % 100003) + "\n";
  const std::string gzip = TestFiles::Gzip(text);
  files.Add("a.csv.gz", gzip.substr(0, gzip.size() / 2));
  const std::string error = ErrorOf(files, {.threads = 2});
  EXPECT_NE(error.find("input: the gzip data ends in the middle of a member @ a.csv.gz"),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("byte " + std::to_string(gzip.size() / 2)), std::string::npos) << error;
}

TEST(Progress, CanStopTheIngestAndEndsWithEverythingRead) {
  TestFiles files;
  files.Add("a.csv", "a\n1\n2\n");
  IngestProgress last;
  IngestOptions options;
  options.progress = [&](const IngestProgress& progress) {
    last = progress;
    return true;
  };
  Read(files, options);
  EXPECT_EQ(last.rows, 2);
  EXPECT_EQ(last.bytes_read, 6);
  EXPECT_EQ(last.bytes_total, 6);
  EXPECT_EQ(last.shards_done, 1);
  options.progress = [](const IngestProgress&) { return false; };
  EXPECT_NE(ErrorOf(files, options).find("interrupted: "), std::string::npos);
}

}  // namespace
}  // namespace hayate::ingest
