#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hayate/csv/text_block.h"

namespace hayate::csv {

inline bool IsLineEnd(uint8_t byte) { return byte == '\n' || byte == '\r'; }

/// block.text[from, to).
inline std::string_view TextOf(const TextBlock& block, size_t from, size_t to) {
  return {reinterpret_cast<const char*>(block.text.data()) + from, to - from};
}

/// Start of the field after entry `entry` of block.ends, the LF of a CRLF and blank lines left
/// behind.
size_t FieldStartAfter(const TextBlock& block, size_t entry);

/// The same for a row: where there is one column, blank lines are rows and only an LF is left
/// behind.
size_t RowStartAfter(const TextBlock& block, size_t entry);

/// The entry of the last record end at or before entry `from`, or `block.first_end` if there is
/// none.
size_t LastRecordEnd(const TextBlock& block, size_t from);

/// The entry that ends the record after `entry`, or nothing if its end has not been scanned yet.
/// Records that are blank lines are passed over; `*start_entry` becomes the entry before the
/// record.
std::optional<size_t> FindRecord(const TextBlock& block, size_t entry, size_t* start_entry);

/// A row that has not as many fields as it should.
struct RaggedRow {
  size_t entry = 0;  ///< before its first field
  int64_t fields = 0;
};

/// Counts the rows of a block that ends with a record end, and takes blank lines out of `ends`
/// (where there are several columns; in one column a blank line is a null). `records` is the number
/// of record ends in the block if it is known, else −1. At the first ragged row the block is cut
/// off before it.
std::optional<RaggedRow> FormRows(TextBlock* block, int64_t records);

}  // namespace hayate::csv
