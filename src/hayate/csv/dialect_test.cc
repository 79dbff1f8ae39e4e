#include "hayate/csv/dialect.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/csv/block_reader.h"
#include "hayate/csv/cell.h"
#include "hayate/csv/records.h"

namespace hayate::csv {
namespace {

// Nothing for an unquoted empty field.
using Field = std::optional<std::string>;

struct Row {
  std::vector<Field> fields;
  int64_t number = 0;
  int64_t line = 0;
  bool operator==(const Row& other) const = default;
};

struct Read {
  std::vector<std::string> names;
  std::vector<Row> rows;
  std::vector<BadRow> bad_rows;
  std::string error;
};

Result<std::unique_ptr<BlockReader>> Open(const std::string& text, const ReadOptions& options,
                                          size_t piece_bytes) {
  return BlockReader::Make(std::make_unique<MemoryStream>(text, piece_bytes), options,
                           std::make_shared<BlockPool>());
}

std::vector<Row> RowsOf(const TextBlock& block) {
  std::vector<Row> rows;
  std::string scratch;
  for (int64_t r = 0; r < block.rows; ++r) {
    Row row{.number = block.RowNumber(r), .line = block.LineOfRow(r)};
    for (int c = 0; c < block.columns; ++c) {
      const Cell cell = CellOf(block.RawField(r, c), block.dialect, &scratch);
      row.fields.push_back(cell.text.empty() && !cell.quoted ? Field() : Field(cell.text));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Read ReadIn(const std::string& text, ReadOptions options, int64_t block_bytes = 1 << 20,
            size_t piece_bytes = 1 << 20) {
  options.block_bytes = block_bytes;
  Read read;
  const auto reader = Open(text, options, piece_bytes);
  read.error = reader.status().message();
  if (!reader.ok()) return read;
  read.names = (*reader)->column_names();
  while (true) {
    const auto block = (*reader)->Next();
    read.error = block.status().message();
    if (!block.ok() || *block == nullptr) return read;
    for (Row& row : RowsOf(**block)) read.rows.push_back(std::move(row));
    read.bad_rows.insert(read.bad_rows.end(), (*block)->bad_rows.begin(), (*block)->bad_rows.end());
  }
}

std::vector<std::vector<Field>> FieldsOf(const std::string& text, const ReadOptions& options) {
  const Read read = ReadIn(text, options);
  EXPECT_EQ(read.error, "") << text;
  std::vector<std::vector<Field>> fields;
  for (const Row& row : read.rows) fields.push_back(row.fields);
  return fields;
}

using Rows = std::vector<std::vector<Field>>;

TEST(Dialect, EscapesAndQuotes) {
  EXPECT_EQ(FieldsOf("a,b\nx\\,y,\"q\\\"r\"\n\\N,\"\"\n", {.escape_char = '\\'}),
            (Rows{{"x,y", "q\"r"}, {"N", ""}}));
  EXPECT_EQ(FieldsOf("a,b\n\"x\",5\" pipe\n", {.quote_char = '\0'}), (Rows{{"\"x\"", "5\" pipe"}}));
  EXPECT_EQ(FieldsOf("a,b\n'x''y',\"\n", {.quote_char = '\''}), (Rows{{"x'y", "\""}}));
}

TEST(Dialect, TheLastEscapeOfAFileIsText) {
  EXPECT_EQ(FieldsOf("a\nx\\", {.escape_char = '\\'}), (Rows{{"x\\"}}));
}

TEST(Dialect, BlanksAndComments) {
  EXPECT_EQ(FieldsOf("a, b\n 1,  \"x, y\"\n,  \n", {.skip_initial_space = true}),
            (Rows{{"1", "x, y"}, {std::nullopt, std::nullopt}}));
  EXPECT_EQ(
      FieldsOf("# by hand, \"open\na,b\n#1,2\n1,#2\n#\n\"#3\",4\n#last", {.comment_prefix = "#"}),
      (Rows{{"1", "#2"}, {"#3", "4"}}));
  EXPECT_EQ(FieldsOf("a\n//\n\n//x\r\n1\r\n//\r\n2", {.comment_prefix = "//"}),
            (Rows{{std::nullopt}, {"1"}, {"2"}}));
}

TEST(Dialect, LinesBeforeTheHeaderAreLeftOut) {
  for (const char* end : {"\n", "\r\n", "\r"}) {
    for (const size_t piece : {1, 2, 100}) {
      const std::string text =
          std::string("\xef\xbb\xbfReport \"x") + end + end + "a,b" + end + "1,2" + end;
      const Read read = ReadIn(text, {.skip_rows = 2}, 1 << 20, piece);
      EXPECT_EQ(read.names, (std::vector<std::string>{"a", "b"}));
      EXPECT_EQ(read.rows, (std::vector<Row>{{{"1", "2"}, 1, 4}}));
    }
  }
  EXPECT_NE(ReadIn("a\n", {.skip_rows = 3}).error, "");
}

TEST(Dialect, ColumnsWithoutAHeaderAreNumbered) {
  const Read read = ReadIn("\n1,2\n3,4\n", {.header = false});
  EXPECT_EQ(read.names, (std::vector<std::string>{"column_1", "column_2"}));
  EXPECT_EQ(read.rows.size(), 2U);
}

TEST(Dialect, TextOfUtf16IsNamedAsThat) {
  EXPECT_EQ(ReadIn(std::string("\xff\xfe"
                               "a\0",
                               4),
                   {})
                .error,
            "the text is not UTF-8: it begins as UTF-16 does");
}

TEST(Dialect, FieldsOf100MBAreRead) {
  constexpr size_t kSize = 100 << 20;
  const std::string text = "a,b\n1,\"" + std::string(kSize, 'x') + "\"\n2,y\n";
  const Read read = ReadIn(text, {});
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 2U);
  EXPECT_EQ(read.rows[0].fields[1]->size(), kSize);
  EXPECT_EQ(read.rows[1].fields[1], "y");
}

// A file of good and bad rows, and what is to come of it.
struct Sample {
  ReadOptions options;
  std::string text;
  std::vector<Row> rows;
  std::vector<BadRow> bad_rows;
};

class SampleMaker {
 public:
  explicit SampleMaker(unsigned seed) : random_(seed) {}

  Sample Make() {
    sample_.options.on_error = OnError::kQuarantine;
    if (Pick(2) == 0) sample_.options.comment_prefix = "#";
    if (Pick(2) == 0) sample_.options.escape_char = '\\';
    if (Pick(3) == 0) sample_.options.skip_initial_space = true;
    const char* const ends[] = {"\n", "\r\n", "\r"};
    end_ = ends[Pick(3)];
    mixed_ = Pick(3) == 0;
    columns_ = 1 + Pick(4);
    for (unsigned c = 0; c < columns_; ++c) sample_.text += (c > 0 ? ",n" : "n") + Number(c);
    EndLine();
    const unsigned rows = Pick(40);
    for (unsigned r = 0; r < rows; ++r) {
      if (Pick(8) == 0 && columns_ > 1) EndLine();
      if (Pick(8) == 0 && !sample_.options.comment_prefix.empty()) {
        sample_.text += "#\"," + std::string(Pick(80), 'c');
        EndLine();
      }
      Pick(4) == 0 ? AddBad() : AddGood();
    }
    return std::move(sample_);
  }

 private:
  unsigned Pick(unsigned n) { return random_() % n; }
  static std::string Number(unsigned n) { return std::to_string(n); }

  void EndLine() {
    // In some files every line has an end of its own; a CR in front of a blank line's LF is not
    // one.
    const char* const ends[] = {"\n", "\r\n", "\r"};
    const std::string end = mixed_ ? ends[Pick(3)] : end_;
    const bool joins = !sample_.text.empty() && sample_.text.back() == '\r' && end == "\n";
    sample_.text += joins ? "\r" : end;
    ++line_;
  }

  // Appends a field and returns what it says.
  Field AddField(std::string* text) {
    if (sample_.options.skip_initial_space) text->append(Pick(3), ' ');
    switch (Pick(6)) {
      case 0:
        *text += "\"\"";
        return "";
      case 1: {
        const std::string inside(Pick(70), 'q');
        *text += "\"a,\"\"" + end_ + inside + "\"";
        ++lines_of_row_;
        return "a,\"" + end_ + inside;
      }
      case 2:
        if (sample_.options.escape_char == '\0') break;
        *text += "e\\,\\\"\\" + end_.substr(0, 1);
        if (end_ != "\r\n") ++lines_of_row_;
        if (end_ == "\r\n") *text += "x";  // a CR alone is a line end as well
        if (end_ == "\r\n") ++lines_of_row_;
        return "e,\"" + end_.substr(0, 1) + (end_ == "\r\n" ? "x" : "");
      case 3:
        *text += "x\"y";
        return "x\"y";
      default:
        break;
    }
    const std::string plain(1 + Pick(12), 'z');
    *text += plain;
    return plain;
  }

  void AddGood() {
    Row row{.number = ++number_, .line = line_};
    std::string text;
    lines_of_row_ = 0;
    for (unsigned c = 0; c < columns_; ++c) {
      if (c > 0) text += ',';
      row.fields.push_back(AddField(&text));
    }
    sample_.rows.push_back(std::move(row));
    sample_.text += text;
    line_ += lines_of_row_;
    EndLine();
  }

  void AddBad() {
    BadRow row{.row = ++number_, .line = line_};
    lines_of_row_ = 0;
    const bool bad_quote = Pick(3) == 0;
    unsigned fields = bad_quote ? columns_ : columns_ + 1 + Pick(3);
    if (!bad_quote && columns_ > 1 && Pick(2) == 0) fields = 1 + Pick(columns_ - 1);
    const unsigned at = Pick(fields);
    for (unsigned c = 0; c < fields; ++c) {
      if (c > 0) row.text += ',';
      if (bad_quote && c == at) {
        row.text += "\"b\"x";
      } else {
        AddField(&row.text);
      }
    }
    row.reason = bad_quote ? std::string(kTextAfterQuote) : RaggedRowText(fields, columns_);
    sample_.text += row.text;
    sample_.bad_rows.push_back(std::move(row));
    line_ += lines_of_row_;
    EndLine();
  }

  std::mt19937 random_;
  Sample sample_;
  std::string end_;
  bool mixed_ = false;
  unsigned columns_ = 1;
  int64_t number_ = 0;
  int64_t line_ = 1;
  int64_t lines_of_row_ = 0;
};

void ExpectBadRows(const std::vector<BadRow>& got, const std::vector<BadRow>& expected,
                   const std::string& text) {
  ASSERT_EQ(got.size(), expected.size()) << text;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].row, expected[i].row) << text;
    ASSERT_EQ(got[i].line, expected[i].line) << text;
    ASSERT_EQ(got[i].text, expected[i].text) << text;
    ASSERT_EQ(got[i].reason, expected[i].reason) << text;
  }
}

TEST(OnError, BadRowsArePutAsideAndTheOthersKeepTheirNumbers) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    const Sample sample = SampleMaker(seed).Make();
    std::mt19937 random(seed);
    for (const int64_t block_bytes :
         {int64_t{1} << 20, int64_t{1}, static_cast<int64_t>(1 + random() % 300)}) {
      const Read read = ReadIn(sample.text, sample.options, block_bytes, 1 + random() % 200);
      ASSERT_EQ(read.error, "") << sample.text;
      ASSERT_EQ(read.rows, sample.rows) << "seed " << seed << ", blocks of " << block_bytes << "\n"
                                        << sample.text;
      ExpectBadRows(read.bad_rows, sample.bad_rows, sample.text);
    }
  }
}

TEST(OnError, RowsTakenOutOfABlockLeaveTheNumbersOfTheOthers) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const Sample sample = SampleMaker(seed).Make();
    const auto reader = Open(sample.text, sample.options, 1 << 20).ValueOrDie();
    const auto block = reader->Next().ValueOrDie();
    if (block == nullptr) continue;
    std::mt19937 random(seed);
    std::vector<int64_t> numbers;
    std::vector<Row> left;
    std::vector<Row> taken;
    for (int64_t row = 0; row < block->rows; ++row) {
      const Row& expected = sample.rows[static_cast<size_t>(row)];
      const bool take = random() % 3 == 0;
      if (take) numbers.push_back(row);
      (take ? taken : left).push_back(expected);
    }
    const std::vector<BadRow> out = TakeOutRows(block.get(), numbers);
    ASSERT_EQ(RowsOf(*block), left) << sample.text;
    ASSERT_EQ(out.size(), taken.size());
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(out[i].row, taken[i].number) << sample.text;
      ASSERT_EQ(out[i].line, taken[i].line) << sample.text;
    }
  }
}

TEST(OnError, AnOpenQuoteIsAnErrorAllTheSame) {
  const Read read = ReadIn("a,b\n1,2\n3\n4,\"5\n", {.on_error = OnError::kQuarantine});
  EXPECT_EQ(read.rows.size(), 1U);
  EXPECT_EQ(read.bad_rows.size(), 1U);
  EXPECT_EQ(read.error, "a quote is opened and never closed");
}

}  // namespace
}  // namespace hayate::csv
