#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"
#include "hayate/csv/options.h"
#include "hayate/csv/scan.h"
#include "hayate/csv/text_block.h"

namespace hayate::csv {

/// Cuts the text of one shard into blocks of whole records and finds their fields. One thread at a
/// time. The records, their numbers and the errors do not depend on the size of a block.
class BlockReader {
 public:
  /// Reads the header (or takes options.column_names). Fault::kInput if there is none.
  static Result<std::unique_ptr<BlockReader>> Make(std::unique_ptr<ByteStream> text,
                                                   const ReadOptions& options,
                                                   std::shared_ptr<BlockPool> pool);

  /// Names of the fields of this shard, in its order. No two are equal.
  const std::vector<std::string>& column_names() const { return column_names_; }

  /// The next block, null at the end. An error (ragged row, open quote, damaged input) comes after
  /// all rows before it have been returned, and then again and again. Rows that cannot be read are
  /// none unless options.on_error says so: then they lie in the bad_rows of their block.
  Result<std::unique_ptr<TextBlock>> Next();

 private:
  BlockReader(std::unique_ptr<ByteStream> text, const ReadOptions& options, ScanKernel kernel,
              std::shared_ptr<BlockPool> pool);

  // Why the text after the last whole record cannot be read.
  enum class TailProblem { kNone, kTextAfterQuote, kOpenQuote, kTooLong };

  Status Begin();
  void SkipLines(size_t* have);
  Status ReadHeader();
  Status CountColumns();
  std::optional<size_t> FirstRecord(size_t* start_entry);
  Status SetColumnNames(std::vector<std::string> names);
  void LookAtTail();
  bool HasRecord() const { return scan_.records > records_cut_; }
  void Fill();
  void Append();
  void ScanTo(size_t end);
  void EndText();
  size_t LastWholeRecord() const;
  std::unique_ptr<TextBlock> Cut();
  std::unique_ptr<TextBlock> TailOf(const TextBlock& block, size_t last_entry, size_t cut);
  void FormRowsOf(TextBlock* block, int64_t records);
  Status FailureAt(const TextBlock& block, const std::string& what,
                   const std::string& remedy) const;

  std::unique_ptr<ByteStream> stream_;
  std::shared_ptr<const std::string> object_;
  const Dialect dialect_;
  const int64_t skip_rows_;
  const OnError on_error_;
  ScanKernel kernel_;
  std::shared_ptr<BlockPool> pool_;
  size_t block_bytes_;
  std::vector<std::string> column_names_;

  std::unique_ptr<TextBlock> open_;  // being filled; null when there is no more to come
  ScanState scan_;
  int64_t records_cut_ = 0;  // of scan_.records, those that are no longer in open_
  int64_t rows_cut_ = 0;
  bool skip_line_feed_ = false;  // the last block ended with CR; an LF that follows belongs to it
  bool at_end_ = false;
  TailProblem tail_problem_ = TailProblem::kNone;
  Status error_;  // to be returned after the rows before it
};

}  // namespace hayate::csv
