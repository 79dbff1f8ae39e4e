#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/dialect.h"
#include "hayate/csv/pod_buffer.h"
#include "hayate/csv/scan.h"

namespace hayate::csv {

/// Line ends in `text`: CR, LF and CRLF each count once. `after_cr`: the byte before `text` is CR.
int64_t CountLines(std::string_view text, bool after_cr);

/// Stands in TextBlock::ends for the byte before the text.
inline constexpr uint32_t kBeforeText = ~uint32_t{0};

/// A row that was taken out of its block.
struct BadRow {
  int64_t row = 0;  ///< in the shard, from 1
  int64_t line = 0;
  std::string column;  ///< whose value is wrong; empty: the row as a whole
  std::string reason;
  std::string text;  ///< as it is written, without its line end
};

/// Some whole records of one shard, all with the same number of fields, and where their fields end.
struct TextBlock {
  /// Where rows have been taken out of the block.
  struct Gap {
    int64_t row = 0;        ///< the one behind it
    int64_t rows = 0;       ///< taken out up to here
    size_t at = 0;          ///< of the text behind it
    int64_t line = 1;       ///< of the shard, at `at`
    bool after_cr = false;  ///< the byte before `at` is CR
  };

  PodBuffer<uint8_t> text;  ///< kScanPaddingBytes more than `size` may be read
  size_t size = 0;
  /// Positions of the separators. Entry `first_end` is the byte before the first record
  /// (kBeforeText where there is none), then the end of each field, row by row.
  PodBuffer<uint32_t> ends;
  size_t num_ends = 0;
  size_t first_end = 0;

  int64_t rows = 0;
  int columns = 0;
  Dialect dialect;
  bool any_quote = false;    ///< some byte is a quote
  bool any_escape = false;   ///< some byte is an escape
  bool any_comment = false;  ///< some line is a comment

  std::vector<BadRow> bad_rows;  ///< taken out, in order; only if they are wanted
  std::vector<Gap> gaps;         ///< by row

  int64_t first_row = 0;   ///< data rows of the shard before this block
  int64_t first_line = 1;  ///< line of the shard at which `text` starts
  bool after_cr = false;   ///< the byte of the shard before `text` is CR
  std::shared_ptr<const std::string> object;

  /// The text of a field between its separators, quotes included.
  std::string_view RawField(int64_t row, int column) const {
    const uint32_t* const end = ends.data() + first_end + 1 +
                                static_cast<size_t>(row) * static_cast<size_t>(columns) +
                                static_cast<size_t>(column);
    uint32_t start = end[-1] + 1;
    if (column == 0) start = RowStart(start, *end);
    start = FieldStart(start, *end);
    return {reinterpret_cast<const char*>(text.data()) + start, *end - start};
  }

  /// The last gap before a row; the start of the block if there is none.
  Gap GapBefore(int64_t row) const;

  /// Number of a row in the shard, from 1.
  int64_t RowNumber(int64_t row) const { return first_row + row + GapBefore(row).rows + 1; }

  /// Line of the shard (from 1) at which a row starts. Slow: counts.
  int64_t LineOfRow(int64_t row) const {
    return LineAt(row, static_cast<size_t>(RawField(row, 0).data() -
                                           reinterpret_cast<const char*>(text.data())));
  }
  /// The same of a place in the text of a row, or behind the last.
  int64_t LineAt(int64_t row, size_t at) const;

  /// Asks for a part of the text and the ends of rows [begin, end), the one of `parts` with this
  /// number, to be brought into the core's own cache: columns walk through them in strides that no
  /// prefetcher foresees. In parts, because all at once are more than can be on their way.
  void Prefetch(int64_t begin, int64_t end, size_t part, size_t parts) const;

  /// Where a row starts whose first field ends at `end`: a separator that ends a record may be the
  /// CR of CRLF, and blank lines and comments may follow it. end + 1 if there is a comment up to
  /// `end`, and no row.
  uint32_t RowStart(uint32_t start, uint32_t end) const {
    start = SkipLineEnds(start, end);
    return any_comment ? SkipComments(start, end) : start;
  }

  /// Where the text of a field starts, blanks that are nothing left behind.
  uint32_t FieldStart(uint32_t start, uint32_t end) const {
    if (!dialect.skip_initial_space) return start;
    while (start < end && text.data()[start] == ' ') ++start;
    return start;
  }

 private:
  uint32_t SkipLineEnds(uint32_t start, uint32_t end) const {
    const uint8_t* const bytes = text.data();
    if (columns == 1) {
      // Here a blank line is a record: only the LF of a CRLF is skipped.
      const bool crlf =
          start < end && start > 0 && bytes[start] == '\n' && bytes[start - 1] == '\r';
      return start + (crlf ? 1 : 0);
    }
    while (start < end && (bytes[start] == '\n' || bytes[start] == '\r')) ++start;
    return start;
  }

  uint32_t SkipComments(uint32_t start, uint32_t end) const;
};

/// Blocks to use again, so that their pages are not asked of the kernel for every block; but for
/// those that a record far longer than a block has grown. Any thread.
class BlockPool {
 public:
  BlockPool() { kept_.reserve(kMostKept); }  // giving back never needs memory

  std::unique_ptr<TextBlock> Take();
  void Give(std::unique_ptr<TextBlock> block);

 private:
  // As many as are in flight at most times; more are freed.
  static constexpr size_t kMostKept = 64;
  static constexpr size_t kMostTextBytes = 16 * 1024 * 1024;
  std::mutex mutex_;
  std::vector<std::unique_ptr<TextBlock>> kept_;
};

}  // namespace hayate::csv
