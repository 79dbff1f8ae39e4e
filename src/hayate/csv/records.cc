#include "hayate/csv/records.h"

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
  if (records < 0 || fields != static_cast<size_t>(records) * columns) return false;
  for (size_t entry = block.first_end + columns; entry < block.num_ends; entry += columns) {
    if (!EndsRecord(block, entry)) return false;
  }
  return true;
}

bool IsBlank(const TextBlock& block, size_t start_entry, size_t end_entry) {
  return end_entry == start_entry + 1 &&
         FieldStartAfter(block, start_entry) >= block.ends.data()[end_entry];
}

}  // namespace

size_t FieldStartAfter(const TextBlock& block, size_t entry) {
  size_t start = static_cast<uint32_t>(block.ends.data()[entry] + 1);
  while (start < block.size && IsLineEnd(block.text.data()[start])) ++start;
  return start;
}

size_t RowStartAfter(const TextBlock& block, size_t entry) {
  if (block.columns > 1) return FieldStartAfter(block, entry);
  const size_t start = static_cast<uint32_t>(block.ends.data()[entry] + 1);
  const uint8_t* const bytes = block.text.data();
  const bool crlf =
      start < block.size && start > 0 && bytes[start] == '\n' && bytes[start - 1] == '\r';
  return start + (crlf ? 1 : 0);
}

size_t LastRecordEnd(const TextBlock& block, size_t from) {
  while (from > block.first_end && !EndsRecord(block, from)) --from;
  return from;
}

std::optional<size_t> FindRecord(const TextBlock& block, size_t entry, size_t* start_entry) {
  *start_entry = entry;
  for (size_t end = entry + 1; end < block.num_ends; ++end) {
    if (!EndsRecord(block, end)) continue;
    if (!IsBlank(block, *start_entry, end)) return end;
    *start_entry = end;
  }
  return std::nullopt;
}

std::optional<RaggedRow> FormRows(TextBlock* block, int64_t records) {
  const auto columns = static_cast<size_t>(block->columns);
  if (IsRegular(*block, records)) {
    block->rows = records;
    return std::nullopt;
  }
  uint32_t* const ends = block->ends.data();
  block->rows = 0;
  size_t kept = block->first_end + 1;
  size_t start_entry = block->first_end;
  // What entry `start_entry` said: it may have been overwritten by a kept one.
  uint32_t before = ends[start_entry];
  for (size_t end = start_entry + 1; end < block->num_ends; ++end) {
    if (!EndsRecord(*block, end)) continue;
    const size_t fields = end - start_entry;
    if (fields != columns) {
      size_t start = static_cast<uint32_t>(before + 1);
      while (start < block->size && IsLineEnd(block->text.data()[start])) ++start;
      const bool blank = fields == 1 && start >= ends[end];
      if (!blank) {
        block->num_ends = kept;
        return RaggedRow{kept - 1, static_cast<int64_t>(fields)};
      }
    } else {
      for (size_t i = start_entry + 1; i <= end; ++i) ends[kept++] = ends[i];
      ++block->rows;
    }
    start_entry = end;
    before = ends[end];
  }
  block->num_ends = kept;
  return std::nullopt;
}

}  // namespace hayate::csv
