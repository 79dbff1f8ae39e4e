#include "hayate/csv/records.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hayate::csv {
namespace {

bool EndsRecord(const TextBlock& block, size_t entry) {
  return IsLineEnd(block.text.data()[block.ends.data()[entry]]);
}

// Every row has `columns` fields: as many record ends as rows, and one behind each row's last
// field, so there is none elsewhere.
bool IsRegular(const TextBlock& block, int64_t records) {
  const size_t fields = block.num_ends - 1 - block.first_end;
  const auto columns = static_cast<size_t>(block.columns);
  if (block.any_comment || records < 0) return false;
  if (fields != static_cast<size_t>(records) * columns) return false;
  for (size_t entry = block.first_end + columns; entry < block.num_ends; entry += columns) {
    if (!EndsRecord(block, entry)) return false;
  }
  return true;
}

// A record of one field is a blank line, which is a row only where there is one column, or a
// comment, which never is. `start`: of its row.
bool IsNothing(const TextBlock& block, size_t start, size_t end) {
  return block.columns == 1 ? start > end : start >= end;
}

// Rewrites a block without some of its records: entry by entry of `ends`, and, from the first row
// that is taken out, byte by byte of the text.
class Rewriter {
 public:
  explicit Rewriter(TextBlock* block)
      : block_(block),
        ends_(block->ends.data()),
        kept_(block->first_end + 1),
        before_(ends_[block->first_end]) {
    block->rows = 0;
  }

  /// Where the record with these fields starts, the last of which ends at entry `end`.
  size_t StartOf(size_t end, size_t fields) const {
    return block_->RowStart(before_ + 1, ends_[end + 1 - fields]);
  }

  void Keep(size_t end, size_t fields) {
    before_ = ends_[end];
    for (size_t entry = end + 1 - fields; entry <= end; ++entry) {
      ends_[kept_++] = static_cast<uint32_t>(ends_[entry] - shift_);
    }
    ++block_->rows;
  }

  /// A blank line or a comment: stays in the text.
  void Skip(size_t end) { before_ = ends_[end]; }

  /// A row, together with the record end before it: its own one takes that one's place, so that
  /// what follows a record end is what has always followed it. Returns where its text went on, in
  /// the text as it will be.
  size_t TakeOut(size_t end) {
    if (before_ == kBeforeText) {
      before_ = 0;
      ends_[kept_ - 1] = 0;
    }
    MoveUpTo(before_);
    shift_ += ends_[end] - before_;
    moved_ = before_ = ends_[end];
    return moved_ + 1 - shift_;
  }

  /// What has not been kept is left out.
  void Finish() {
    if (shift_ > 0) MoveUpTo(block_->size);
    block_->size -= shift_;
    block_->num_ends = kept_;
  }

  size_t kept() const { return kept_; }
  /// By how much the text that follows is moved.
  size_t shift() const { return shift_; }

 private:
  void MoveUpTo(size_t stop) {
    uint8_t* const text = block_->text.data();
    if (shift_ > 0) std::memmove(text + moved_ - shift_, text + moved_, stop - moved_);
    moved_ = stop;
  }

  TextBlock* const block_;
  uint32_t* const ends_;
  size_t kept_;       // entries that stay
  uint32_t before_;   // the byte before the next record; its entry may have been overwritten
  size_t moved_ = 0;  // text before it is where it belongs
  size_t shift_ = 0;  // bytes taken out before it
};

// Lines of a block's text as it was, while rows are taken out of it one after the other.
class LineCounter {
 public:
  explicit LineCounter(const TextBlock& block) : block_(block) { GoOnAt(block.GapBefore(-1)); }

  /// Goes on behind a gap.
  void GoOnAt(const TextBlock::Gap& gap) {
    at_ = gap.at;
    line_ = gap.line;
    after_cr_ = gap.after_cr;
  }

  /// Of a place that is not before where it has come to.
  int64_t At(size_t at) {
    if (at > at_) {
      line_ += CountLines(TextOf(block_, at_, at), after_cr_);
      after_cr_ = block_.text.data()[at - 1] == '\r';
      at_ = at;
    }
    return line_;
  }
  bool after_cr() const { return after_cr_; }

 private:
  const TextBlock& block_;
  size_t at_ = 0;
  int64_t line_ = 1;
  bool after_cr_ = false;
};

// The fields that a record has where they are those of a row.
struct Record {
  size_t start = 0;  // of its text
  size_t end = 0;    // its last entry
  size_t fields = 0;
};

// Whether text follows the closing quote of a field. `text`: the field, from its opening quote on.
bool EndsBehindQuote(std::string_view text, const Dialect& dialect) {
  for (size_t at = 1; at < text.size(); ++at) {
    const auto byte = static_cast<uint8_t>(text[at]);
    if (dialect.has_escape && byte == dialect.escape) {
      ++at;
    } else if (byte == dialect.quote) {
      if (at + 1 == text.size()) return false;
      if (static_cast<uint8_t>(text[at + 1]) != dialect.quote) return true;
      ++at;
    }
  }
  return true;
}

bool HasTextAfterQuote(const TextBlock& block, const Record& record) {
  auto start = static_cast<uint32_t>(record.start);
  for (size_t entry = record.end + 1 - record.fields; entry <= record.end; ++entry) {
    const uint32_t end = block.ends.data()[entry];
    const std::string_view field = TextOf(block, block.FieldStart(start, end), end);
    if (!field.empty() && static_cast<uint8_t>(field[0]) == block.dialect.quote &&
        EndsBehindQuote(field, block.dialect)) {
      return true;
    }
    start = end + 1;
  }
  return false;
}

// Takes a row out, notes the gap, and says what it was. `taken`: rows, with this one.
BadRow TakenOut(const Record& record, int64_t number, LineCounter* lines, Rewriter* rewriter,
                int64_t taken, TextBlock* block) {
  const size_t stop = block->ends.data()[record.end];
  BadRow row{.row = number,
             .line = lines->At(record.start),
             .text = std::string(TextOf(*block, record.start, stop))};
  const int64_t next_line = lines->At(stop + 1);
  block->gaps.push_back({.row = block->rows,
                         .rows = taken,
                         .at = rewriter->TakeOut(record.end),
                         .line = next_line,
                         .after_cr = lines->after_cr()});
  return row;
}

}  // namespace

std::string RaggedRowText(int64_t fields, int64_t columns) {
  return "a row has " + std::to_string(fields) + (fields == 1 ? " field" : " fields") +
         " where there are " + std::to_string(columns) + (columns == 1 ? " column" : " columns");
}

size_t FieldStartAfter(const TextBlock& block, size_t entry, size_t end_entry) {
  const uint32_t end = block.ends.data()[end_entry];
  const auto start = static_cast<uint32_t>(block.ends.data()[entry] + 1);
  return block.FieldStart(block.RowStart(start, end), end);
}

size_t RowStartAfter(const TextBlock& block, size_t entry) {
  const auto size = static_cast<uint32_t>(block.size);
  return std::min(size, block.RowStart(block.ends.data()[entry] + 1, size));
}

size_t LastRecordEnd(const TextBlock& block, size_t from) {
  while (from > block.first_end && !EndsRecord(block, from)) --from;
  return from;
}

std::optional<size_t> FindRecord(const TextBlock& block, size_t entry, size_t* start_entry) {
  *start_entry = entry;
  for (size_t end = entry + 1; end < block.num_ends; ++end) {
    if (!EndsRecord(block, end)) continue;
    const auto start = static_cast<uint32_t>(block.ends.data()[*start_entry] + 1);
    const bool nothing =
        end == *start_entry + 1 &&
        IsNothing(block, block.RowStart(start, block.ends.data()[end]), block.ends.data()[end]);
    if (!nothing) return end;
    *start_entry = end;
  }
  return std::nullopt;
}

std::optional<int64_t> FormRows(TextBlock* block, int64_t records) {
  if (IsRegular(*block, records)) {
    block->rows = records;
    return std::nullopt;
  }
  const auto columns = static_cast<size_t>(block->columns);
  Rewriter rewriter(block);
  std::optional<int64_t> ragged;
  size_t start_entry = block->first_end;
  for (size_t end = start_entry + 1; end < block->num_ends && !ragged; ++end) {
    if (!EndsRecord(*block, end)) continue;
    const size_t fields = end - start_entry;
    start_entry = end;
    if (fields == 1 && IsNothing(*block, rewriter.StartOf(end, fields), block->ends.data()[end])) {
      rewriter.Skip(end);
    } else if (fields == columns) {
      rewriter.Keep(end, fields);
    } else {
      ragged = static_cast<int64_t>(fields);
    }
  }
  block->num_ends = rewriter.kept();
  return ragged;
}

void FormGoodRows(TextBlock* block, int64_t records, bool any_text_after_quote) {
  if (!any_text_after_quote && IsRegular(*block, records)) {
    block->rows = records;
    return;
  }
  const auto columns = static_cast<size_t>(block->columns);
  Rewriter rewriter(block);
  LineCounter lines(*block);
  int64_t taken = 0;
  size_t start_entry = block->first_end;
  for (size_t end = start_entry + 1; end < block->num_ends; ++end) {
    if (!EndsRecord(*block, end)) continue;
    const size_t fields = end - start_entry;
    const Record record{rewriter.StartOf(end, fields), end, fields};
    start_entry = end;
    if (fields == 1 && IsNothing(*block, record.start, block->ends.data()[end])) {
      rewriter.Skip(end);
      continue;
    }
    const bool bad_quote = any_text_after_quote && HasTextAfterQuote(*block, record);
    if (fields == columns && !bad_quote) {
      rewriter.Keep(end, fields);
      continue;
    }
    ++taken;
    const int64_t number = block->first_row + block->rows + taken;
    block->bad_rows.push_back(TakenOut(record, number, &lines, &rewriter, taken, block));
    block->bad_rows.back().reason =
        bad_quote ? std::string(kTextAfterQuote)
                  : RaggedRowText(static_cast<int64_t>(fields), block->columns);
  }
  rewriter.Finish();
}

std::vector<BadRow> TakeOutRows(TextBlock* block, const std::vector<int64_t>& rows) {
  const auto columns = static_cast<size_t>(block->columns);
  const int64_t count = block->rows;
  LineCounter lines(*block);
  const std::vector<TextBlock::Gap> gaps = std::exchange(block->gaps, {});
  auto next_gap = gaps.begin();
  int64_t taken_before = 0;  // this call
  std::vector<BadRow> bad_rows;
  Rewriter rewriter(block);
  for (int64_t row = 0; row < count; ++row) {
    const auto taken = static_cast<int64_t>(bad_rows.size());
    for (; next_gap != gaps.end() && next_gap->row <= row; ++next_gap) {
      lines.GoOnAt(*next_gap);
      taken_before = next_gap->rows;
      block->gaps.push_back({.row = block->rows,
                             .rows = taken_before + taken,
                             .at = next_gap->at - rewriter.shift(),
                             .line = next_gap->line,
                             .after_cr = next_gap->after_cr});
    }
    const size_t end = block->first_end + static_cast<size_t>(row + 1) * columns;
    if (bad_rows.size() == rows.size() || rows[bad_rows.size()] != row) {
      rewriter.Keep(end, columns);
      continue;
    }
    const Record record{rewriter.StartOf(end, columns), end, columns};
    bad_rows.push_back(TakenOut(record, block->first_row + row + taken_before + 1, &lines,
                                &rewriter, taken_before + taken + 1, block));
  }
  rewriter.Finish();
  return bad_rows;
}

}  // namespace hayate::csv
