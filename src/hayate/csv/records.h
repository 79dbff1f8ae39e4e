#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/text_block.h"

namespace hayate::csv {

inline bool IsLineEnd(uint8_t byte) { return byte == '\n' || byte == '\r'; }

/// block.text[from, to).
inline std::string_view TextOf(const TextBlock& block, size_t from, size_t to) {
  return {reinterpret_cast<const char*>(block.text.data()) + from, to - from};
}

/// Start of the text of the field between two entries of block.ends, the first of its row.
size_t FieldStartAfter(const TextBlock& block, size_t entry, size_t end_entry);

/// Start of the row after entry `entry` of block.ends, see TextBlock::RowStart.
size_t RowStartAfter(const TextBlock& block, size_t entry);

/// The entry of the last record end at or before entry `from`, or `block.first_end` if there is
/// none.
size_t LastRecordEnd(const TextBlock& block, size_t from);

/// The entry that ends the record after `entry`, or nothing if its end has not been scanned yet.
/// Blank lines and comments are passed over; `*start_entry` becomes the entry before the
/// record.
std::optional<size_t> FindRecord(const TextBlock& block, size_t entry, size_t* start_entry);

/// Counts the rows of a block that ends with a record end, and takes blank lines (where there are
/// several columns; in one column a blank line is a null) and comments out of `ends`. `records` is
/// the number of record ends in the block if it is known, else −1. At the first row that has not as
/// many fields as there are columns the block is cut off before it, and that number is returned.
std::optional<int64_t> FormRows(TextBlock* block, int64_t records);

/// The same, but a row that cannot be read is moved to block.bad_rows, and the others stay:
/// one that is ragged, or in which text follows a closing quote (looked for if
/// `any_text_after_quote`).
void FormGoodRows(TextBlock* block, int64_t records, bool any_text_after_quote);

/// Takes rows out of a block whose rows are formed; the others keep their numbers in the shard.
/// `rows`: their numbers in the block, from 0, in ascending order. Returns them without a column
/// and a reason.
std::vector<BadRow> TakeOutRows(TextBlock* block, const std::vector<int64_t>& rows);

inline constexpr std::string_view kTextAfterQuote = "text follows the closing quote of a value";

/// What is wrong with a ragged row.
std::string RaggedRowText(int64_t fields, int64_t columns);

}  // namespace hayate::csv
