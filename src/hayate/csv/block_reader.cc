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
constexpr uint32_t kBeforeText = ~uint32_t{0};
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr int64_t kUnknown = -1;
constexpr size_t kColumnsOfBlock = 256;  // with more, blocks are larger (options.h)

}  // namespace

BlockReader::BlockReader(std::unique_ptr<ByteStream> text, const ReadOptions& options,
                         ScanKernel kernel, std::shared_ptr<BlockPool> pool)
    : stream_(std::move(text)),
      object_(std::make_shared<const std::string>(stream_->name())),
      dialect_{static_cast<uint8_t>(options.delimiter), static_cast<uint8_t>(options.quote_char)},
      kernel_(kernel),
      pool_(std::move(pool)),
      block_bytes_(static_cast<size_t>(options.block_bytes)),
      open_(pool_->Take()) {
  open_->size = 0;
  open_->first_line = 1;
  open_->after_cr = false;
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
  reader->SkipByteOrderMark();
  if (options.header) {
    ARROW_RETURN_NOT_OK(reader->ReadHeader());
  } else {
    ARROW_RETURN_NOT_OK(reader->SetColumnNames(options.column_names));
  }
  return reader;
}

Result<std::unique_ptr<TextBlock>> BlockReader::Next() {
  while (open_ != nullptr) {
    Fill();
    std::unique_ptr<TextBlock> block = Cut();
    if (block->rows > 0) return block;
    pool_->Give(std::move(block));
  }
  ARROW_RETURN_NOT_OK(error_);
  return std::unique_ptr<TextBlock>();
}

void BlockReader::SkipByteOrderMark() {
  open_->text.Reserve(kWindowBytes + kScanPaddingBytes);
  size_t have = 0;
  while (have < kByteOrderMark.size() && !at_end_) {
    const auto n = stream_->Read({open_->text.data() + have, kByteOrderMark.size() - have});
    error_ = n.status();
    at_end_ = !n.ok() || *n == 0;
    if (!at_end_) have += static_cast<size_t>(*n);
  }
  if (TextOf(*open_, 0, have) == kByteOrderMark) have = 0;
  ScanTo(have);
  if (at_end_) EndText();
}

Status BlockReader::ReadHeader() {
  size_t start = 0;
  std::optional<size_t> end = FindRecord(*open_, 0, &start);
  while (!end && !at_end_ && tail_problem_ == TailProblem::kNone) {
    if (open_->size > kMostRecordBytes) tail_problem_ = TailProblem::kTooLong;
    Append();
    end = FindRecord(*open_, 0, &start);
  }
  const bool damaged =
      end && scan_.bad_byte != kNowhere && int64_t{open_->ends.data()[*end]} > scan_.bad_byte;
  if (damaged || (!end && tail_problem_ != TailProblem::kNone)) {
    return Fail(Fault::kInput, "a quote in the header is left open or followed by text",
                {.object = *object_, .line = 1}, "Correct the quotes of the first line.");
  }
  if (!end) {
    ARROW_RETURN_NOT_OK(error_);
    return Fail(Fault::kInput, "there is no header: the file is empty", {.object = *object_},
                "Remove the file, or make it again with a header.");
  }
  std::vector<std::string> names;
  std::string scratch;
  size_t from = FieldStartAfter(*open_, start);
  for (size_t entry = start + 1; entry <= *end; ++entry) {
    const size_t to = open_->ends.data()[entry];
    const auto quote = static_cast<char>(dialect_.quote);
    names.emplace_back(CellOf(TextOf(*open_, from, to), quote, &scratch).text);
    from = to + 1;
    if (FindInvalidUtf8(names.back()) >= 0) {
      return Fail(Fault::kInput, "a name in the header is not UTF-8",
                  {.object = *object_, .line = 1},
                  "Convert the file to UTF-8 (for example with iconv).");
    }
  }
  // The header and the blank lines before it are no longer to be counted.
  for (size_t entry = 1; entry <= *end; ++entry) {
    records_cut_ += IsLineEnd(open_->text.data()[open_->ends.data()[entry]]) ? 1 : 0;
  }
  open_->first_end = *end;
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
  if (scan_.bad_byte != kNowhere) tail_problem_ = TailProblem::kTextAfterQuote;
}

// The last record may end without a line end. After a failed read it may be half of one: it is
// left.
void BlockReader::EndText() {
  if (!error_.ok() || tail_problem_ != TailProblem::kNone) return;
  if (scan_.mode == ScanMode::kQuoted) {
    tail_problem_ = TailProblem::kOpenQuote;
    return;
  }
  const bool after_separator = scan_.mode == ScanMode::kFieldStart;
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
  block->columns = static_cast<int>(column_names_.size());
  block->quote = dialect_.quote;
  block->any_quote = scan_.any_quote;
  scan_.any_quote =
      open_ != nullptr && TextOf(*open_, 0, open_->size).find(static_cast<char>(dialect_.quote)) !=
                              std::string_view::npos;
  block->first_row = rows_cut_;
  block->object = object_;
  FormRowsOf(block.get(), records);
  rows_cut_ += block->rows;
  return block;
}

std::unique_ptr<TextBlock> BlockReader::TailOf(const TextBlock& block, size_t last_entry,
                                               size_t cut) {
  std::unique_ptr<TextBlock> tail = pool_->Take();
  const std::string_view text = TextOf(block, cut, block.size);
  const size_t fields = block.num_ends - 1 - last_entry;
  tail->size = text.size();
  tail->text.Reserve(text.size() + kWindowBytes + kScanPaddingBytes);
  if (!text.empty()) std::memcpy(tail->text.data(), text.data(), text.size());
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
  const std::optional<RaggedRow> ragged = FormRows(block, records);
  if (ragged) {
    error_ = FailureAt(*block,
                       "a row has " + std::to_string(ragged->fields) + " fields where there are " +
                           std::to_string(block->columns) + " columns",
                       "Correct the row: a delimiter or a line break inside a value needs quotes "
                       "around the value.");
    open_ = nullptr;
    return;
  }
  switch (tail_problem_) {
    case TailProblem::kNone:
      return;
    case TailProblem::kTextAfterQuote:
      error_ = FailureAt(*block, "text follows the closing quote of a value",
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
  const int64_t line = block.first_line + CountLines(TextOf(block, 0, start), block.after_cr);
  return Fail(Fault::kInput, what,
              {.object = *object_, .row = rows_cut_ + block.rows + 1, .line = line}, remedy);
}

}  // namespace hayate::csv
