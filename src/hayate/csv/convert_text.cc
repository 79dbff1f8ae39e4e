#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>

#include <cstring>
#include <limits>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/utf8.h"
#include "hayate/csv/validity.h"

namespace hayate::csv {
namespace {

// Short texts are copied as so many bytes, whatever their length: text and target have room behind.
constexpr size_t kShortBytes = 16;

void CopyText(std::string_view text, bool in_block, uint8_t* out) {
  if (in_block && text.size() <= kShortBytes) {
    std::memcpy(out, text.data(), kShortBytes);
  } else if (!text.empty()) {
    std::memcpy(out, text.data(), text.size());
  }
}

// No field of the column gets longer by conversion.
int64_t MostBytes(const TextBlock& block, int field) {
  int64_t total = 0;
  for (int64_t row = 0; row < block.rows; ++row) {
    total += static_cast<int64_t>(block.RawField(row, field).size());
  }
  return total;
}

// The first value that is not UTF-8. Two values may look well-formed where they touch, so each is
// looked at by itself.
template <typename Offset>
void CheckUtf8(const Offset* offsets, int64_t rows, const uint8_t* data,
               std::optional<BadCell>* bad) {
  const auto* const text = reinterpret_cast<const char*>(data);
  const int64_t checked = *bad ? (*bad)->row : rows;
  if (IsAscii({text, static_cast<size_t>(offsets[checked])})) return;
  for (int64_t row = 0; row < checked; ++row) {
    const std::string_view value(text + offsets[row],
                                 static_cast<size_t>(offsets[row + 1] - offsets[row]));
    if (FindInvalidUtf8(value) < 0) continue;
    *bad = BadCell{.row = row, .fault = ParseFault::kSyntax, .value = std::string(value)};
    return;
  }
}

template <typename Offset>
Result<ConvertedColumn> Convert(const TextBlock& block, int field,
                                const std::shared_ptr<arrow::DataType>& type, bool base64,
                                const CellRules& rules) {
  const int64_t most_bytes = MostBytes(block, field);
  if (most_bytes > std::numeric_limits<Offset>::max()) {
    return Fail(Fault::kInput, "a block holds more than 2 GiB of one column",
                {.object = *block.object}, "Choose a smaller block_bytes.");
  }
  ConvertedColumn result;
  ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(block.rows));
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> offsets_buffer,
      arrow::AllocateBuffer((block.rows + 1) * static_cast<int64_t>(sizeof(Offset))));
  ARROW_ASSIGN_OR_RAISE(
      std::unique_ptr<arrow::ResizableBuffer> data,
      arrow::AllocateResizableBuffer(most_bytes + static_cast<int64_t>(kShortBytes)));
  auto* const offsets = reinterpret_cast<Offset*>(offsets_buffer->mutable_data());
  uint8_t* const start = data->mutable_data();
  const auto* const text_start = reinterpret_cast<const char*>(block.text.data());
  const char* const text_end = text_start + block.size;
  Offset at = 0;
  std::string bytes;
  offsets[0] = 0;
  WalkField(
      block, field, rules, &result.bad,
      [&](int64_t row) {
        validity.SetNull(row);
        offsets[row + 1] = at;
      },
      [&](int64_t row, std::string_view text) {
        if (base64) {
          bytes.clear();
          const ParseFault fault = ParseBase64(text, &bytes);
          if (fault != ParseFault::kNone) return fault;
          text = bytes;
        }
        const bool in_block = text.data() >= text_start && text.data() < text_end;
        CopyText(text, in_block, start + at);
        at += static_cast<Offset>(text.size());
        offsets[row + 1] = at;
        return ParseFault::kNone;
      });
  if (!base64) CheckUtf8(offsets, block.rows, start, &result.bad);
  if (result.bad) return result;
  ARROW_RETURN_NOT_OK(data->Resize(at, /*shrink_to_fit=*/false));
  result.array =
      arrow::MakeArray(arrow::ArrayData::Make(type, block.rows,
                                              {validity.buffer(), std::move(offsets_buffer),
                                               std::shared_ptr<arrow::Buffer>(std::move(data))},
                                              validity.null_count()));
  return result;
}

}  // namespace

Result<ConvertedColumn> ConvertText(const TextBlock& block, int field,
                                    const std::shared_ptr<arrow::DataType>& type,
                                    const CellRules& rules) {
  switch (type->id()) {
    case arrow::Type::STRING:
      return Convert<int32_t>(block, field, type, /*base64=*/false, rules);
    case arrow::Type::LARGE_STRING:
      return Convert<int64_t>(block, field, type, /*base64=*/false, rules);
    case arrow::Type::BINARY:
      return Convert<int32_t>(block, field, type, /*base64=*/true, rules);
    case arrow::Type::LARGE_BINARY:
      return Convert<int64_t>(block, field, type, /*base64=*/true, rules);
    default:
      return Fail(Fault::kInternal, "no text converter for " + type->ToString());
  }
}

}  // namespace hayate::csv
