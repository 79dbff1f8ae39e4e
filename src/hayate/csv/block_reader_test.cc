#include "hayate/csv/block_reader.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/csv/cell.h"

namespace hayate::csv {
namespace {

// A field: nothing for an unquoted empty one.
using Field = std::optional<std::string>;
using Row = std::vector<Field>;

struct Read {
  std::vector<std::string> names;
  std::vector<Row> rows;
  std::vector<int64_t> lines;  // at which the rows start
  std::string error;           // empty: none

  bool operator==(const Read& other) const = default;
};

std::string What(const Status& status) {
  const auto* detail = FaultDetail::Get(status);
  return status.message() + (detail == nullptr ? "" : " @ " + detail->where().ToString());
}

Read ReadIn(const std::string& text, int64_t block_bytes, size_t piece_bytes,
            ReadOptions options = {}) {
  options.block_bytes = block_bytes;
  Read read;
  auto reader = BlockReader::Make(std::make_unique<MemoryStream>(text, piece_bytes), options,
                                  std::make_shared<BlockPool>());
  if (!reader.ok()) {
    read.error = What(reader.status());
    return read;
  }
  read.names = (*reader)->column_names();
  std::string scratch;
  while (true) {
    auto block = (*reader)->Next();
    if (!block.ok()) {
      read.error = What(block.status());
      EXPECT_EQ(What((*reader)->Next().status()), read.error) << "an error stays";
      return read;
    }
    if (*block == nullptr) return read;
    EXPECT_EQ((*block)->first_row, static_cast<int64_t>(read.rows.size()));
    for (int64_t r = 0; r < (*block)->rows; ++r) {
      Row row;
      for (int c = 0; c < (*block)->columns; ++c) {
        const Cell cell = CellOf((*block)->RawField(r, c), options.dialect(), &scratch);
        row.push_back(cell.text.empty() && !cell.quoted ? Field() : Field(cell.text));
      }
      read.rows.push_back(std::move(row));
      read.lines.push_back((*block)->LineOfRow(r));
    }
  }
}

Read ReadWhole(const std::string& text, const ReadOptions& options = {}) {
  return ReadIn(text, 1 << 20, 1 << 20, options);
}

TEST(BlockReader, ReadsQuotesLineEndsAndMissingFinalNewline) {
  const Read read = ReadWhole(
      "\xef\xbb\xbf"
      "a,\"b,\"\"b\"\r\n1,\"x\ny\"\r\n,\"\"\r2,5\" pipe");
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.names, (std::vector<std::string>{"a", "b,\"b"}));
  EXPECT_EQ(read.rows, (std::vector<Row>{{"1", "x\ny"}, {Field(), ""}, {"2", "5\" pipe"}}));
  EXPECT_EQ(read.lines, (std::vector<int64_t>{2, 4, 5}));
}

TEST(BlockReader, BlankLineIsANullInOneColumnAndNothingInSeveral) {
  EXPECT_EQ(ReadWhole("a\n1\n\n2\n").rows, (std::vector<Row>{{"1"}, {Field()}, {"2"}}));
  EXPECT_EQ(ReadWhole("a\r\n1\r\n\r\n2\r\n").rows, (std::vector<Row>{{"1"}, {Field()}, {"2"}}));
  EXPECT_EQ(ReadWhole("\na,b\n\n1,2\n\r\n\n3,4\n\n").rows,
            (std::vector<Row>{{"1", "2"}, {"3", "4"}}));
  EXPECT_EQ(ReadWhole("\na,b\n\n1,2\n\r\n\n3,4\n\n").lines, (std::vector<int64_t>{4, 7}));
}

TEST(BlockReader, HeaderAloneHasNoRows) {
  for (const char* text : {"a,b", "a,b\n", "a,b\r\n", "a,b\n\n"}) {
    const Read read = ReadWhole(text);
    EXPECT_EQ(read.error, "");
    EXPECT_TRUE(read.rows.empty());
    EXPECT_EQ(read.names.size(), 2U);
  }
}

TEST(BlockReader, FileWithoutAHeaderIsAnError) {
  for (const char* text : {"", "\n\n", "\xef\xbb\xbf", "\r\n"}) {
    EXPECT_NE(ReadWhole(text).error.find("there is no header"), std::string::npos) << text;
  }
}

TEST(BlockReader, NamesCanBeGivenInsteadOfAHeader) {
  ReadOptions options;
  options.header = false;
  options.column_names = {"x", "y"};
  EXPECT_EQ(ReadWhole("1,2\n3,4", options).rows, (std::vector<Row>{{"1", "2"}, {"3", "4"}}));
  EXPECT_EQ(ReadWhole("", options).error, "");
}

TEST(BlockReader, TwoColumnsOfOneNameAreAnError) {
  EXPECT_EQ(ReadWhole("a,b,a\n1,2,3\n").error,
            "two columns have the name \"a\": number 1 and number 3 @ shard.csv, column a");
}

TEST(BlockReader, RaggedRowIsNamedAndRowsBeforeItAreGiven) {
  const Read read = ReadWhole("a,b\n1,2\n\"3\n\",4\n5\n6,7\n");
  EXPECT_EQ(read.rows.size(), 2U);
  EXPECT_EQ(read.error, "a row has 1 field where there are 2 columns @ shard.csv, line 5, row 3");
}

TEST(BlockReader, QuotesThatDoNotCloseAreNamed) {
  EXPECT_EQ(ReadWhole("a,b\n1,2\n3,\"4\n5,6\n").error,
            "a quote is opened and never closed @ shard.csv, line 3, row 2");
  EXPECT_EQ(ReadWhole("a,b\n1,2\n3,\"4\"5\n5,6\n").error,
            "text follows the closing quote of a value @ shard.csv, line 3, row 2");
  EXPECT_NE(ReadWhole("a,\"b\n1,2\n").error.find("quote in the header"), std::string::npos);
}

// What a random file says, by a parser that has nothing in common with the one under test: one
// character at a time over the whole text, and a record only at its end.
Read Oracle(const std::string& text) {
  Read read;
  Row row;
  std::string field;
  bool quoted = false;
  bool header = true;
  int64_t line = 1;
  int64_t row_line = 1;
  const auto end_field = [&] {
    row.push_back(field.empty() && !quoted ? Field() : Field(field));
    field.clear();
    quoted = false;
  };
  const auto fail = [&](const std::string& what) {
    read.error = what + " @ shard.csv, line " + std::to_string(row_line) + ", row " +
                 std::to_string(read.rows.size() + 1);
  };
  // Returns false at an error.
  const auto end_record = [&] {
    end_field();
    const bool blank = row.size() == 1 && !row[0].has_value();
    if (header) {
      if (!blank) {
        for (const Field& name : row) read.names.push_back(name.value_or(""));
        header = false;
      }
    } else if (row.size() != read.names.size()) {
      if (!blank) {
        const auto count = [](size_t n, const std::string& what) {
          return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
        };
        fail("a row has " + count(row.size(), "field") + " where there are " +
             count(read.names.size(), "column"));
        return false;
      }
    } else {
      read.rows.push_back(row);
      read.lines.push_back(row_line);
    }
    row.clear();
    return true;
  };
  size_t at = 0;
  while (at < text.size()) {
    if (row.empty() && field.empty() && !quoted) row_line = line;
    const char c = text[at];
    if (c == '"' && field.empty() && !quoted) {
      quoted = true;
      for (++at;; ++at) {
        if (at == text.size()) {
          fail("a quote is opened and never closed");
          return read;
        }
        if (text[at] == '"' && at + 1 < text.size() && text[at + 1] == '"') {
          ++at;
        } else if (text[at] == '"') {
          break;
        }
        const bool crlf = text[at] == '\n' && at > 0 && text[at - 1] == '\r';
        if ((text[at] == '\n' && !crlf) || text[at] == '\r') ++line;
        field += text[at];
      }
      ++at;
      if (at < text.size() && text[at] != ',' && text[at] != '\n' && text[at] != '\r') {
        fail("text follows the closing quote of a value");
        return read;
      }
      continue;
    }
    if (c == ',') {
      end_field();
      ++at;
      // An empty last field leaves no trace in `field`: mark that the record has begun.
      if (at == text.size()) {
        if (!end_record()) return read;
      }
      continue;
    }
    if (c == '\n' || c == '\r') {
      at += c == '\r' && at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
      ++line;
      if (!end_record()) return read;
      continue;
    }
    field += c;
    ++at;
  }
  if (!row.empty() || !field.empty() || quoted) end_record();
  return read;
}

std::string RandomFile(std::mt19937* random) {
  const auto pick = [&](unsigned n) { return (*random)() % n; };
  const char* const ends[] = {"\n", "\r\n", "\r"};
  const std::string end = ends[pick(3)];
  const unsigned columns = 1 + pick(4);
  std::string text = pick(4) == 0 ? "\xef\xbb\xbf" : "";
  for (unsigned c = 0; c < columns; ++c) text += (c > 0 ? ",n" : "n") + std::to_string(c);
  text += end;
  const unsigned rows = pick(30);
  for (unsigned r = 0; r < rows; ++r) {
    if (pick(12) == 0) text += end;
    const unsigned fields = pick(60) == 0 ? columns + 1 : columns;
    for (unsigned c = 0; c < fields; ++c) {
      if (c > 0) text += ',';
      switch (pick(8)) {
        case 0:
          break;
        case 1:
          text += "\"\"";
          break;
        case 2:
          text += "\"a,\"\"" + end + std::string(pick(90), 'q') + "\"";
          break;
        case 3:
          text += "x\"y";
          break;
        default:
          text += std::string(1 + pick(12), 'z');
      }
      if (pick(400) == 0) text += "\"";
    }
    if (r + 1 < rows || pick(2) == 0) text += end;
  }
  return text;
}

TEST(BlockPool, KeepsBlocksButThoseThatALongRecordHasGrown) {
  constexpr size_t kBlockBytes = 4 << 20;
  BlockPool pool;
  auto block = pool.Take();
  block->text.Reserve(kBlockBytes + 1000);
  const TextBlock* const kept = block.get();
  pool.Give(std::move(block));
  block = pool.Take();
  EXPECT_EQ(block.get(), kept);
  block->text.Reserve(10 * kBlockBytes);
  pool.Give(std::move(block));
  EXPECT_EQ(pool.Take()->text.capacity(), 0U);
}

TEST(BlockReader, AnyBlockSizeAndKernelGivesWhatTheOracleGives) {
  std::mt19937 random(3);
  int failed_files = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::string text = RandomFile(&random);
    const std::string plain = text.substr(text.rfind("\xef\xbb\xbf", 0) == 0 ? 3 : 0);
    const Read expected = Oracle(plain);
    failed_files += expected.error.empty() ? 0 : 1;
    for (const ScanKernel& kernel : ScanKernels()) {
      setenv("HAYATE_FORCE_KERNEL", kernel.name, 1);
      ASSERT_EQ(ReadWhole(text), expected) << kernel.name << " on\n" << text;
    }
    unsetenv("HAYATE_FORCE_KERNEL");
    for (const int64_t block_bytes : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{7}, int64_t{64},
                                      static_cast<int64_t>(1 + random() % 300)}) {
      const size_t piece = 1 + random() % 100;
      ASSERT_EQ(ReadIn(text, block_bytes, piece), expected)
          << "blocks of " << block_bytes << " in pieces of " << piece << " on\n"
          << text;
    }
  }
  EXPECT_GT(failed_files, 50);
  EXPECT_LT(failed_files, 1000);
}

}  // namespace
}  // namespace hayate::csv
