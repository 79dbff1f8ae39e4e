#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/pod_buffer.h"
#include "hayate/csv/scan.h"

namespace hayate::csv {

/// Line ends in `text`: CR, LF and CRLF each count once. `after_cr`: the byte before `text` is CR.
int64_t CountLines(std::string_view text, bool after_cr);

/// Some whole records of one shard, all with the same number of fields, and where their fields end.
struct TextBlock {
  PodBuffer<uint8_t> text;  ///< kScanPaddingBytes more than `size` may be read
  size_t size = 0;
  /// Positions of the separators. Entry `first_end` is the byte before the first record (2^32 − 1
  /// stands for −1), then the end of each field, row by row.
  PodBuffer<uint32_t> ends;
  size_t num_ends = 0;
  size_t first_end = 0;

  int64_t rows = 0;
  int columns = 0;
  bool any_quote = false;
  uint8_t quote = '"';

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
    if (column == 0) start = SkipLineFeeds(start, *end);
    return {reinterpret_cast<const char*>(text.data()) + start, *end - start};
  }

  /// Line of the shard (from 1) at which a row starts. Slow: counts.
  int64_t LineOfRow(int64_t row) const;

  /// Asks for the text and the ends of rows [begin, end) to be brought into the core's own cache:
  /// columns walk through them in strides that no prefetcher foresees.
  void Prefetch(int64_t begin, int64_t end) const;

  /// Where the first field of a row starts: a separator that ends a record may be the CR of CRLF,
  /// and blank lines may follow it.
  uint32_t SkipLineFeeds(uint32_t start, uint32_t end) const {
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
};

/// Blocks to use again, so that their pages are not asked of the kernel for every block; but for
/// those that a record far longer than a block has grown. Any thread.
class BlockPool {
 public:
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
