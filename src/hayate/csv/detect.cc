#include "hayate/csv/detect.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "hayate/csv/cell_rules.h"
#include "hayate/csv/classify.h"

// The dialect is the candidate under which the text looks most like a table: by the consistency
// measure of G. van den Burg, A. Nazábal and C. Sutton, "Wrangling messy CSV files by detecting row
// and type patterns", Data Mining and Knowledge Discovery 33 (2019). It is the product of a pattern
// score (long records, few different lengths) and a type score (the share of cells that look like
// values).

namespace hayate::csv {
namespace {

constexpr size_t kMostBytes = 128 * 1024;
// What one-column records score, so that any other consistent reading beats them.
constexpr double kOneColumn = 1e-3;
constexpr std::string_view kDelimiters = ",;\t|";
// Also part of values of many kinds: looked at only where none of the others is one.
constexpr std::string_view kRareDelimiters = ":^~ ";
constexpr size_t kLeastRareFields = 3;

struct ParsedCell {
  std::string_view text;  // without the outer quotes
  bool quoted = false;
  bool broken = false;  // text follows the closing quote, or there is none
};

struct ParsedRecord {
  std::vector<ParsedCell> cells;
  int64_t line = 0;  // at which it starts, from 0
};

using Records = std::vector<ParsedRecord>;

bool IsLineEnd(char c) { return c == '\n' || c == '\r'; }

// The text as a dialect reads it, byte by byte; blank lines and comments left out.
class Parser {
 public:
  Parser(std::string_view text, const Dialect& dialect) : text_(text), dialect_(dialect) {}

  Records Run() {
    Records records;
    while (at_ < text_.size()) {
      const std::string& comment = dialect_.comment_prefix;
      if (IsLineEnd(text_[at_])) {
        PassLineEnd();
      } else if (!comment.empty() && text_.substr(at_).starts_with(comment)) {
        while (at_ < text_.size() && !IsLineEnd(text_[at_])) ++at_;
      } else {
        records.push_back(Record());
      }
    }
    return records;
  }

 private:
  bool Is(uint8_t byte) const { return static_cast<uint8_t>(text_[at_]) == byte; }
  bool IsEscape() const { return dialect_.has_escape && Is(dialect_.escape); }

  void PassLineEnd() {
    at_ += text_.substr(at_).starts_with("\r\n") ? 2 : 1;
    ++line_;
  }

  ParsedRecord Record() {
    ParsedRecord record;
    record.line = line_;
    while (true) {
      record.cells.push_back(Cell());
      if (at_ == text_.size() || IsLineEnd(text_[at_])) return record;
      ++at_;  // the delimiter
    }
  }

  ParsedCell Cell() {
    while (dialect_.skip_initial_space && at_ < text_.size() && Is(' ')) ++at_;
    if (dialect_.has_quote && at_ < text_.size() && Is(dialect_.quote)) return QuotedCell();
    const size_t start = at_;
    PassPlain();
    return {.text = text_.substr(start, at_ - start)};
  }

  void PassPlain() {
    while (at_ < text_.size() && !Is(dialect_.delimiter) && !IsLineEnd(text_[at_])) {
      at_ += IsEscape() && at_ + 1 < text_.size() ? 2 : 1;
    }
  }

  ParsedCell QuotedCell() {
    const size_t start = ++at_;
    while (at_ < text_.size()) {
      if (IsEscape() && at_ + 1 < text_.size()) {
        at_ += 2;
        continue;
      }
      if (Is(dialect_.quote)) {
        const bool doubled =
            at_ + 1 < text_.size() && static_cast<uint8_t>(text_[at_ + 1]) == dialect_.quote;
        if (!doubled) break;
        ++at_;
      } else if (IsLineEnd(text_[at_]) && !text_.substr(at_).starts_with("\r\n")) {
        ++line_;
      }
      ++at_;
    }
    ParsedCell cell{.text = text_.substr(start, at_ - start), .quoted = true};
    if (at_ == text_.size()) {
      cell.broken = true;
      return cell;
    }
    const size_t end = ++at_;
    PassPlain();
    cell.broken = at_ != end;
    return cell;
  }

  const std::string_view text_;
  const Dialect& dialect_;
  size_t at_ = 0;
  int64_t line_ = 0;
};

enum class Kind { kEmpty, kNumber, kTime, kBool, kText, kOdd };

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Digits and the marks of numbers as people write them: 1.234,5 or -3 % or €12.
bool LooksLikeNumber(std::string_view text) {
  for (const std::string_view sign : {"$", "€", "£", "¥"}) {
    if (text.starts_with(sign)) text.remove_prefix(sign.size());
  }
  while (!text.empty() && (text.back() == '%' || text.back() == ' ')) text.remove_suffix(1);
  const bool digits = std::any_of(text.begin(), text.end(), IsDigit);
  return digits && text.find_first_not_of("0123456789.,'+-eE") == std::string_view::npos &&
         std::string_view("eE,'").find(text.back()) == std::string_view::npos;
}

// Digits between the marks of dates and times, also with the letters of a month or a zone.
bool LooksLikeTime(std::string_view text) {
  constexpr size_t kLeast = 5;
  constexpr size_t kMost = 35;
  if (text.size() < kLeast || text.size() > kMost || !IsDigit(text[0])) return false;
  const bool marks = text.find_first_of("-/:.") != std::string_view::npos;
  return marks && text.find_first_not_of("0123456789-/:. +TZUC") == std::string_view::npos;
}

Kind KindOf(const ParsedCell& cell, const CellRules& rules) {
  const std::string_view text = WithoutBlanks(cell.text);
  if (cell.broken) return Kind::kOdd;
  if (text.empty()) return Kind::kEmpty;
  switch (Classify(text, rules)) {
    case CellClass::kBool:
    case CellClass::kBoolInteger:
      return Kind::kBool;
    case CellClass::kText:
      break;
    case CellClass::kDate:
    case CellClass::kDateTime:
    case CellClass::kTimestamp:
      return Kind::kTime;
    default:
      return Kind::kNumber;
  }
  if (LooksLikeNumber(text)) return Kind::kNumber;
  if (LooksLikeTime(text)) return Kind::kTime;
  // In quotes anything is text; without, not what tells cells apart elsewhere.
  if (cell.quoted) return Kind::kText;
  return text.find_first_of(",;\t|\"") == std::string_view::npos && text.front() != '\'' &&
                 text.back() != '\''
             ? Kind::kText
             : Kind::kOdd;
}

double PatternScore(const Records& records) {
  std::map<size_t, size_t> lengths;
  for (const ParsedRecord& record : records) ++lengths[record.cells.size()];
  double score = 0;
  for (const auto& [length, count] : lengths) {
    const double fields = static_cast<double>(length);
    score += static_cast<double>(count) * std::max(kOneColumn, fields - 1) / fields;
  }
  return lengths.empty() ? 0 : score / static_cast<double>(lengths.size());
}

double TypeScore(const Records& records, const CellRules& rules) {
  size_t known = 0;
  size_t all = 0;
  for (const ParsedRecord& record : records) {
    for (const ParsedCell& cell : record.cells) {
      known += KindOf(cell, rules) == Kind::kOdd ? 0 : 1;
      ++all;
    }
  }
  constexpr double kLeast = 1e-10;
  return all == 0 ? 0 : std::max(kLeast, static_cast<double>(known) / static_cast<double>(all));
}

// The length that most records have; of those that are as many, the greatest.
size_t UsualLength(const Records& records) {
  std::map<size_t, size_t> lengths;
  for (const ParsedRecord& record : records) ++lengths[record.cells.size()];
  const auto most = std::max_element(lengths.begin(), lengths.end(), [](auto& a, auto& b) {
    return std::pair(a.second, a.first) < std::pair(b.second, b.first);
  });
  return most == lengths.end() ? 0 : most->first;
}

struct Best {
  Dialect dialect;
  Records records;
  double score = -1;
};

class Detector {
 public:
  Detector(std::string_view text, std::optional<char> delimiter)
      : text_(text), rules_(ReadOptions()) {
    if (delimiter) {
      TryDelimiters({&*delimiter, 1});
      return;
    }
    TryDelimiters(kDelimiters);
    if (UsualLength(best_.records) > 1 || IsColumnOfTimes()) return;
    for (const char rare : kRareDelimiters) TryRare(rare);
  }

  Detected Result() const {
    Detected detected;
    detected.dialect = best_.dialect;
    const Records& records = best_.records;
    if (records.empty()) return detected;
    const size_t first = FirstOfTable();
    detected.skip_rows = first == 0 ? 0 : records[first].line;
    detected.header = HasHeader(first);
    return detected;
  }

 private:
  bool Has(std::string_view bytes) const { return text_.find(bytes) != std::string_view::npos; }

  // Whether a quote stands where one opens a field.
  bool OpensField(char quote, char delimiter) const {
    for (size_t at = text_.find(quote); at != std::string_view::npos;
         at = text_.find(quote, at + 1)) {
      size_t before = at;
      while (before > 0 && text_[before - 1] == ' ') --before;
      if (before == 0 || text_[before - 1] == delimiter || IsLineEnd(text_[before - 1]))
        return true;
    }
    return false;
  }

  void TryDelimiters(std::string_view delimiters) {
    for (const char delimiter : delimiters) {
      // Without any there is one column, as there is with the first.
      if (delimiter != delimiters.front() && !Has({&delimiter, 1})) continue;
      TryQuotes({.delimiter = static_cast<uint8_t>(delimiter)});
    }
  }

  void TryQuotes(Dialect dialect) {
    const auto delimiter = static_cast<char>(dialect.delimiter);
    TryEscapes(dialect);
    if (OpensField('\'', delimiter)) {
      dialect.quote = '\'';
      TryEscapes(dialect);
      dialect.quote = '"';
    }
    if (Has("\"")) {
      dialect.has_quote = false;
      TryEscapes(dialect);
    }
  }

  void TryEscapes(Dialect dialect) {
    TryBlanks(dialect);
    const std::array<char, 4> special = {static_cast<char>(dialect.delimiter),
                                         static_cast<char>(dialect.quote), '\n', '\\'};
    const bool escapes = std::any_of(special.begin(), special.end(), [&](char c) {
      const char pair[] = {'\\', c};
      return Has({pair, sizeof(pair)});
    });
    if (!escapes) return;
    dialect.has_escape = true;
    TryBlanks(dialect);
  }

  void TryBlanks(Dialect dialect) {
    TryComments(dialect);
    const char blank_quote[] = {static_cast<char>(dialect.delimiter), ' ',
                                static_cast<char>(dialect.quote)};
    if (!dialect.has_quote || !Has({blank_quote, sizeof(blank_quote)})) return;
    dialect.skip_initial_space = true;
    TryComments(dialect);
  }

  void TryComments(Dialect dialect) {
    Try(dialect);
    if (!text_.starts_with("#") && !Has("\n#") && !Has("\r#")) return;
    dialect.comment_prefix.push_back('#');
    Try(dialect);
  }

  void Try(const Dialect& dialect) {
    Records records = Parser(text_, dialect).Run();
    const double pattern = PatternScore(records);
    if (pattern <= best_.score) return;  // types can only lower it
    const double score = pattern * TypeScore(records, rules_);
    constexpr double kMuchAsGood = 1 + 1e-9;
    if (score > best_.score * kMuchAsGood) best_ = {dialect, std::move(records), score};
  }

  // Colons and blanks are part of those.
  bool IsColumnOfTimes() const {
    return std::any_of(best_.records.begin(), best_.records.end(), [&](const auto& record) {
      return KindOf(record.cells[0], rules_) == Kind::kTime;
    });
  }

  // One that every record is full of.
  void TryRare(char delimiter) {
    const Dialect dialect = {.delimiter = static_cast<uint8_t>(delimiter)};
    Records records = Parser(text_, dialect).Run();
    constexpr size_t kFewRecords = 3;
    const size_t length = UsualLength(records);
    const bool all = std::all_of(records.begin(), records.end(), [&](const ParsedRecord& record) {
      return record.cells.size() == length;
    });
    if (!all || length < kLeastRareFields || records.size() < kFewRecords) return;
    const double score = PatternScore(records) * TypeScore(records, rules_);
    if (score > best_.score) best_ = {dialect, std::move(records), score};
  }

  // The first record that is as long as most are: what is before it is a preamble. Unless that is
  // most of the text: then it is no table anyway.
  size_t FirstOfTable() const {
    const Records& records = best_.records;
    const size_t usual = UsualLength(records);
    size_t first = 0;
    while (first < records.size() && records[first].cells.size() != usual) ++first;
    return first <= records.size() / 2 ? first : 0;
  }

  // A vote of the columns.
  bool HasHeader(size_t first) const {
    const std::vector<ParsedCell>& names = best_.records[first].cells;
    int votes = 0;
    for (size_t column = 0; column < names.size(); ++column) votes += VoteOf(first, column);
    return votes != 0 ? votes > 0 : LooksLikeNames(names);
  }

  // For a header (1), against one (−1), or neither (0).
  int VoteOf(size_t first, size_t column) const {
    const ParsedCell& name = best_.records[first].cells[column];
    const Kind kind_of_name = KindOf(name, rules_);
    std::set<Kind> kinds;
    bool recurs = false;
    for (size_t i = first + 1; i < best_.records.size(); ++i) {
      const ParsedRecord& record = best_.records[i];
      if (record.cells.size() <= column) continue;
      recurs |= record.cells[column].text == name.text;
      const Kind kind = KindOf(record.cells[column], rules_);
      if (kind != Kind::kEmpty) kinds.insert(kind);
    }
    if (kind_of_name == Kind::kEmpty || kinds.size() != 1) return 0;
    const Kind kind = *kinds.begin();
    if (kind == Kind::kText || kind == Kind::kOdd) {
      return kind_of_name == Kind::kText && recurs ? -1 : 0;
    }
    if (kind_of_name == Kind::kText || kind_of_name == Kind::kOdd) return 1;
    return IsYear(name.text) && !AreYears(first + 1, column) ? 1 : -1;
  }

  static bool IsYear(std::string_view text) {
    return text.size() == 4 && std::all_of(text.begin(), text.end(), IsDigit) &&
           (text.starts_with("19") || text.starts_with("20"));
  }

  bool AreYears(size_t from, size_t column) const {
    for (size_t i = from; i < best_.records.size(); ++i) {
      const ParsedRecord& record = best_.records[i];
      if (record.cells.size() > column && IsYear(record.cells[column].text)) return true;
    }
    return false;
  }

  bool LooksLikeNames(const std::vector<ParsedCell>& cells) const {
    constexpr size_t kLongName = 64;
    std::set<std::string_view> seen;
    for (const ParsedCell& cell : cells) {
      if (KindOf(cell, rules_) != Kind::kText || cell.text.size() > kLongName) return false;
      if (!seen.insert(cell.text).second) return false;
    }
    return true;
  }

  const std::string_view text_;
  const CellRules rules_;
  Best best_;
};

// A first line `sep=;`, which Excel writes and reads.
std::optional<char> TakeSeparatorLine(std::string_view* text) {
  constexpr std::string_view kStart = "sep=";
  const size_t end = text->find_first_of("\r\n");
  if (!text->starts_with(kStart) || end != kStart.size() + 1) return std::nullopt;
  const char separator = (*text)[kStart.size()];
  text->remove_prefix(end + (text->substr(end).starts_with("\r\n") ? 2 : 1));
  return separator;
}

// Nearly every delimiter that something follows is followed by a blank.
bool BlanksFollow(const Records& records) {
  size_t blanks = 0;
  size_t all = 0;
  for (const ParsedRecord& record : records) {
    for (size_t i = 1; i < record.cells.size(); ++i) {
      if (record.cells[i].text.empty()) continue;
      blanks += record.cells[i].text.front() == ' ' ? 1 : 0;
      ++all;
    }
  }
  return all > 0 && blanks * 10 >= all * 9;
}

std::string AsPython(uint8_t byte) {
  std::string text = "\"";
  if (byte == '\t') {
    text += "\\t";
  } else {
    if (byte == '"' || byte == '\\') text += '\\';
    text += static_cast<char>(byte);
  }
  return text += '"';
}

}  // namespace

Detected DetectDialect(std::string_view text, bool whole) {
  if (text.size() > kMostBytes || !whole) {
    text = text.substr(0, kMostBytes);
    const size_t last = text.find_last_of("\r\n");
    if (last != std::string_view::npos) text = text.substr(0, last + 1);
  }
  const std::optional<char> separator = TakeSeparatorLine(&text);
  Detected detected = Detector(text, separator).Result();
  Dialect& dialect = detected.dialect;
  if (!dialect.skip_initial_space && dialect.delimiter != ' ') {
    dialect.skip_initial_space = BlanksFollow(Parser(text, dialect).Run());
  }
  detected.skip_rows += separator ? 1 : 0;
  return detected;
}

std::string Describe(const Detected& detected) {
  const Dialect& dialect = detected.dialect;
  std::string text;
  const auto add = [&text](std::string_view option, std::string_view value) {
    if (!text.empty()) text.append(", ");
    text.append(option).append("=").append(value);
  };
  add("delimiter", AsPython(dialect.delimiter));
  if (!dialect.has_quote) {
    add("quote_char", "None");
  } else if (dialect.quote != '"') {
    add("quote_char", AsPython(dialect.quote));
  }
  if (dialect.has_escape) add("escape_char", AsPython(dialect.escape));
  if (dialect.skip_initial_space) add("skip_initial_space", "True");
  if (!dialect.comment_prefix.empty()) {
    add("comment_prefix", AsPython(static_cast<uint8_t>(dialect.comment_prefix[0])));
  }
  if (detected.skip_rows > 0) add("skip_rows", std::to_string(detected.skip_rows));
  add("header", detected.header ? "True" : "False");
  return text;
}

}  // namespace hayate::csv
