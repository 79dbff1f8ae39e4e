#include "hayate/csv/block_reader.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "hayate/csv/cell.h"
#include "hayate/csv/records.h"
#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

// Text read and scanned at a time: it is scanned while it is in the core's own cache.
constexpr size_t kWindowBytes = 256 * 1024;
// A longer record is taken for a quote that was left open, before it eats the memory.
constexpr size_t kMostRecordBytes = size_t{1} << 28;
constexpr size_t kScribbleEntries = 16;  // behind the last, that a kernel may write
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr int64_t kUnknown = -1;
constexpr size_t kColumnsOfBlock = 256;  // with more, blocks are larger (options.h)

}  // namespace

BlockReader::BlockReader(std::unique_ptr<ByteStream> text, const ReadOptions& options,
                         ScanKernel kernel, std::shared_ptr<BlockPool> pool)
    : stream_(std::move(text)),
      object_(std::make_shared<const std::string>(stream_->name())),
      dialect_(options.dialect()),
      skip_rows_(options.skip_rows),
      on_error_(options.on_error),
      kernel_(kernel),
      pool_(std::move(pool)),
      block_bytes_(static_cast<size_t>(options.block_bytes)),
      open_(pool_->Take()) {
  open_->size = 0;
  open_->dialect = dialect_;
  open_->columns = 0;  // not known yet
  open_->first_line = 1;
  open_->after_cr = false;
  open_->any_comment = false;
  open_->first_end = 0;
  open_->ends.Reserve(1);
  open_->ends.data()[0] = kBeforeText;
  open_->num_ends = 1;
}

Result<std::unique_ptr<BlockReader>> BlockReader::Make(std::unique_ptr<ByteStream> text,
                                                       const ReadOptions& options,
                                                       std::shared_ptr<BlockPool> pool) {
  ARROW_RETURN_NOT_OK(options.Validate());
  ARROW_ASSIGN_OR_RAISE(const ScanKernel kernel, ChooseKernel(ScanKernels()));
  std::unique_ptr<BlockReader> reader(
      new BlockReader(std::move(text), options, kernel, std::move(pool)));
  ARROW_RETURN_NOT_OK(reader->Begin());
  if (options.header) {
    ARROW_RETURN_NOT_OK(reader->ReadHeader());
  } else if (options.column_names.empty()) {
    ARROW_RETURN_NOT_OK(reader->CountColumns());
  } else {
    ARROW_RETURN_NOT_OK(reader->SetColumnNames(options.column_names));
  }
  return reader;
}

Result<std::unique_ptr<TextBlock>> BlockReader::Next() {
  while (open_ != nullptr) {
    Fill();
    std::unique_ptr<TextBlock> block = Cut();
    if (block->rows > 0 || !block->bad_rows.empty()) return block;
    pool_->Give(std::move(block));
  }
  ARROW_RETURN_NOT_OK(error_);
  return std::unique_ptr<TextBlock>();
}

Status BlockReader::Begin() {
  open_->text.Reserve(kWindowBytes + kScanPaddingBytes);
  size_t have = 0;
  while (have < kByteOrderMark.size() && !at_end_) {
    const auto n = stream_->Read({open_->text.data() + have, kByteOrderMark.size() - have});
    error_ = n.status();
    at_end_ = !n.ok() || *n == 0;
    if (!at_end_) have += static_cast<size_t>(*n);
  }
  const std::string_view start = TextOf(*open_, 0, have);
  if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
    return Fail(Fault::kInput, "the text is not UTF-8: it begins as UTF-16 does",
                {.object = *object_}, "Say encoding=\"utf-16\".");
  }
  if (start == kByteOrderMark) have = 0;
  SkipLines(&have);
  ScanTo(have);
  if (at_end_) EndText();
  return Status::OK();
}

// Leaves behind the lines that are not to be looked at. `have`: bytes of text read so far.
void BlockReader::SkipLines(size_t* have) {
  uint8_t* const text = open_->text.data();
  size_t at = 0;
  bool after_cr = false;
  for (int64_t skipped = 0; skipped < skip_rows_; ++at) {
    if (at == *have) {
      const auto n = at_end_ ? Result<int64_t>(0) : stream_->Read({text, kWindowBytes});
      if (!n.ok()) error_ = n.status();
      at_end_ = !n.ok() || *n == 0;
      *have = at_end_ ? 0 : static_cast<size_t>(*n);
      at = 0;
      if (at_end_) break;
    }
    skipped += text[at] == '\r' || (text[at] == '\n' && !after_cr) ? 1 : 0;
    after_cr = text[at] == '\r';
    scan_.lines = skipped;
  }
  if (skip_rows_ == 0) return;
  *have -= at;
  std::memmove(text, text + at, *have);
  open_->first_line = 1 + scan_.lines;
  open_->after_cr = scan_.after_cr = skip_line_feed_ = after_cr;
}

// The entry that ends the first record, read as far as that takes; nothing if there is none.
std::optional<size_t> BlockReader::FirstRecord(size_t* start_entry) {
  std::optional<size_t> end = FindRecord(*open_, 0, start_entry);
  while (!end && !at_end_ && tail_problem_ == TailProblem::kNone) {
    if (open_->size > kMostRecordBytes) tail_problem_ = TailProblem::kTooLong;
    Append();
    end = FindRecord(*open_, *start_entry, start_entry);
  }
  return end;
}

Status BlockReader::ReadHeader() {
  size_t start = 0;
  const std::optional<size_t> end = FirstRecord(&start);
  const int64_t line = open_->first_line +
                       CountLines(TextOf(*open_, 0, RowStartAfter(*open_, start)), open_->after_cr);
  const bool damaged =
      end && scan_.bad_byte != kNowhere && int64_t{open_->ends.data()[*end]} > scan_.bad_byte;
  if (damaged || (!end && tail_problem_ != TailProblem::kNone)) {
    return Fail(Fault::kInput, "a quote in the header is left open or followed by text",
                {.object = *object_, .line = line}, "Correct the quotes of that line.");
  }
  if (!end) {
    ARROW_RETURN_NOT_OK(error_);
    return Fail(Fault::kInput,
                skip_rows_ == 0 ? "there is no header: the file is empty"
                                : "there is no header behind the lines of skip_rows",
                {.object = *object_}, "Remove the file, or make it again with a header.");
  }
  std::vector<std::string> names;
  std::string scratch;
  for (size_t entry = start + 1; entry <= *end; ++entry) {
    const size_t from = entry == start + 1 ? FieldStartAfter(*open_, start, entry)
                                           : open_->FieldStart(open_->ends.data()[entry - 1] + 1,
                                                               open_->ends.data()[entry]);
    const std::string_view raw = TextOf(*open_, from, open_->ends.data()[entry]);
    names.emplace_back(CellOf(raw, dialect_, &scratch).text);
    if (FindInvalidUtf8(names.back()) >= 0) {
      return Fail(Fault::kInput, "a name in the header is not UTF-8",
                  {.object = *object_, .line = line},
                  "Say in which encoding the file is, for example encoding=\"latin-1\".");
    }
  }
  // The header and what is nothing before it are no longer to be counted.
  for (size_t entry = 1; entry <= *end; ++entry) {
    records_cut_ += IsLineEnd(open_->text.data()[open_->ends.data()[entry]]) ? 1 : 0;
  }
  open_->first_end = *end;
  return SetColumnNames(std::move(names));
}

// Names for the fields of a shard that has none: those of its first record are counted.
Status BlockReader::CountColumns() {
  size_t start = 0;
  const std::optional<size_t> end = FirstRecord(&start);
  if (!end && tail_problem_ == TailProblem::kNone) {
    ARROW_RETURN_NOT_OK(error_);
    return Fail(Fault::kInput, "there are no columns: the file is empty", {.object = *object_},
                "Remove the file, or give column_names=[...].");
  }
  std::vector<std::string> names;
  for (size_t i = 1; i <= (end ? *end - start : 1); ++i) {
    names.push_back("column_" + std::to_string(i));
  }
  return SetColumnNames(std::move(names));
}

Status BlockReader::SetColumnNames(std::vector<std::string> names) {
  std::unordered_map<std::string_view, size_t> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [found, is_new] = seen.emplace(names[i], i);
    if (is_new) continue;
    return Fail(Fault::kInput,
                "two columns have the name \"" + names[i] + "\": number " +
                    std::to_string(found->second + 1) + " and number " + std::to_string(i + 1),
                {.object = *object_, .column = names[i]},
                "Rename one of them, or read with header=False and column_names=[...].");
  }
  column_names_ = std::move(names);
  block_bytes_ = std::max(block_bytes_, block_bytes_ * column_names_.size() / kColumnsOfBlock);
  return Status::OK();
}

void BlockReader::Fill() {
  while (!at_end_ && tail_problem_ == TailProblem::kNone) {
    if (HasRecord() && open_->size >= block_bytes_) return;
    if (!HasRecord() && open_->size > block_bytes_ + kMostRecordBytes) {
      tail_problem_ = TailProblem::kTooLong;
      return;
    }
    Append();
  }
}

void BlockReader::Append() {
  const size_t missing = block_bytes_ > open_->size ? block_bytes_ - open_->size : block_bytes_;
  const size_t most = std::min(missing, kWindowBytes);
  open_->text.Reserve(open_->size + most + kScanPaddingBytes);
  const auto n = stream_->Read({open_->text.data() + open_->size, most});
  if (n.ok() && *n > 0) {
    ScanTo(open_->size + static_cast<size_t>(*n));
    return;
  }
  at_end_ = true;
  error_ = n.status();
  EndText();
}

void BlockReader::ScanTo(size_t end) {
  const size_t begin = open_->size;
  if (begin == end) return;
  if (begin == 0 && skip_line_feed_) {
    if (open_->text.data()[0] == '\n') open_->ends.data()[0] = 0;
    skip_line_feed_ = false;
  }
  std::memset(open_->text.data() + end, 0, kScanPaddingBytes);
  open_->ends.Reserve(open_->num_ends + (end - begin) + kScribbleEntries);
  uint32_t* const out = open_->ends.data() + open_->num_ends;
  uint32_t* const out_end = kernel_.run(dialect_, open_->text.data(), begin, end, &scan_, out);
  open_->num_ends += static_cast<size_t>(out_end - out);
  open_->size = end;
  open_->any_comment = scan_.any_comment;
  if (scan_.bad_byte != kNowhere && on_error_ == OnError::kFail) {
    tail_problem_ = TailProblem::kTextAfterQuote;
  }
}

// The last record may end without a line end. After a failed read it may be half of one: it is
// left.
void BlockReader::EndText() {
  if (!error_.ok() || tail_problem_ != TailProblem::kNone) return;
  if (scan_.mode == ScanMode::kQuoted) {
    tail_problem_ = TailProblem::kOpenQuote;
    return;
  }
  scan_.after_escape = false;  // nothing follows that could be escaped
  const bool after_separator =
      scan_.mode == ScanMode::kFieldStart || scan_.mode == ScanMode::kRecordStart;
  const uint32_t last = open_->ends.data()[open_->num_ends - 1];
  if (after_separator && (open_->num_ends == 1 || IsLineEnd(open_->text.data()[last]))) return;
  open_->text.Reserve(open_->size + 1 + kScanPaddingBytes);
  open_->text.data()[open_->size] = '\n';
  ScanTo(open_->size + 1);
}

size_t BlockReader::LastWholeRecord() const {
  size_t last = open_->num_ends - 1;
  if (tail_problem_ == TailProblem::kTextAfterQuote) {
    while (last > open_->first_end && int64_t{open_->ends.data()[last]} > scan_.bad_byte) --last;
  }
  return LastRecordEnd(*open_, last);
}

// Takes the whole records out of open_, and leaves in it what follows them.
std::unique_ptr<TextBlock> BlockReader::Cut() {
  const size_t last = LastWholeRecord();
  const bool is_last = at_end_ || tail_problem_ != TailProblem::kNone;
  const int64_t records =
      tail_problem_ == TailProblem::kTextAfterQuote ? kUnknown : scan_.records - records_cut_;
  std::unique_ptr<TextBlock> block = std::move(open_);
  block->columns = static_cast<int>(column_names_.size());
  if (!is_last) {
    size_t cut = size_t{block->ends.data()[last]} + 1;
    if (block->text.data()[cut - 1] == '\r') {
      skip_line_feed_ = cut == block->size;
      if (cut < block->size && block->text.data()[cut] == '\n') ++cut;
    }
    open_ = TailOf(*block, last, cut);
    block->size = cut;
  }
  block->num_ends = last + 1;
  records_cut_ = scan_.records;
  block->any_quote = scan_.any_quote;
  block->any_escape = scan_.any_escape;
  block->any_comment = scan_.any_comment;
  block->first_row = rows_cut_;
  block->object = object_;
  block->bad_rows.clear();
  block->gaps.clear();
  FormRowsOf(block.get(), records);
  LookAtTail();
  rows_cut_ += block->rows + static_cast<int64_t>(block->bad_rows.size());
  return block;
}

// What the scan has seen so far was in the block that was cut, unless it is in the tail.
void BlockReader::LookAtTail() {
  scan_.any_comment = false;  // a whole record
  const std::string_view tail = open_ == nullptr ? "" : TextOf(*open_, 0, open_->size);
  const auto has = [&](uint8_t byte) {
    return tail.find(static_cast<char>(byte)) != std::string_view::npos;
  };
  scan_.any_quote = scan_.any_quote && has(dialect_.quote);
  scan_.any_escape = scan_.any_escape && has(dialect_.escape);
  if (open_ == nullptr || scan_.bad_byte == kNowhere) return;
  ScanState state;
  std::vector<uint32_t> ends(tail.size() + kScribbleEntries);
  ScanScalar(dialect_, open_->text.data(), 0, tail.size(), &state, ends.data());
  scan_.bad_byte = state.bad_byte;
}

std::unique_ptr<TextBlock> BlockReader::TailOf(const TextBlock& block, size_t last_entry,
                                               size_t cut) {
  std::unique_ptr<TextBlock> tail = pool_->Take();
  const std::string_view text = TextOf(block, cut, block.size);
  const size_t fields = block.num_ends - 1 - last_entry;
  tail->size = text.size();
  tail->text.Reserve(text.size() + kWindowBytes + kScanPaddingBytes);
  if (!text.empty()) std::memcpy(tail->text.data(), text.data(), text.size());
  tail->dialect = dialect_;
  tail->columns = block.columns;
  tail->any_comment = false;
  tail->first_end = 0;
  tail->num_ends = 1 + fields;
  tail->ends.Reserve(tail->num_ends);
  tail->ends.data()[0] = kBeforeText;
  for (size_t i = 0; i < fields; ++i) {
    tail->ends.data()[1 + i] = block.ends.data()[last_entry + 1 + i] - static_cast<uint32_t>(cut);
  }
  tail->after_cr = block.text.data()[cut - 1] == '\r';
  tail->first_line = 1 + scan_.lines - CountLines(text, tail->after_cr);
  return tail;
}

// Errors before the tail replace those in it: the first row that cannot be read is what counts.
void BlockReader::FormRowsOf(TextBlock* block, int64_t records) {
  std::optional<int64_t> ragged;
  if (on_error_ == OnError::kFail) {
    ragged = FormRows(block, records);
  } else {
    FormGoodRows(block, records, scan_.bad_byte != kNowhere);
  }
  if (ragged) {
    error_ = FailureAt(*block, RaggedRowText(*ragged, block->columns),
                       "Correct the row: a delimiter or a line break inside a value needs quotes "
                       "around the value. Or say on_error=\"quarantine\" to put such rows aside.");
    open_ = nullptr;
    return;
  }
  switch (tail_problem_) {
    case TailProblem::kNone:
      return;
    case TailProblem::kTextAfterQuote:
      error_ = FailureAt(*block, std::string(kTextAfterQuote),
                         "Double the quotes inside a quoted value, or remove the text.");
      return;
    case TailProblem::kOpenQuote:
      error_ = FailureAt(*block, "a quote is opened and never closed",
                         "Close the quote, or double the quotes inside a quoted value.");
      return;
    case TailProblem::kTooLong:
      error_ = FailureAt(*block, "a row is longer than 256 MiB",
                         "Close the quote that is probably left open there.");
      return;
  }
}

// An error in the row behind those of `block`.
Status BlockReader::FailureAt(const TextBlock& block, const std::string& what,
                              const std::string& remedy) const {
  const size_t start = RowStartAfter(block, block.num_ends - 1);
  const int64_t line = block.LineAt(block.rows, start);
  return Fail(Fault::kInput, what,
              {.object = *object_, .row = block.RowNumber(block.rows), .line = line}, remedy);
}

}  // namespace hayate::csv
