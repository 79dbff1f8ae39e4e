#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/unquote.h"
#include "hayate/csv/utf8.h"
#include "hayate/csv/validity.h"

namespace hayate::csv {
namespace {

// Texts are copied in pieces of so many bytes, whatever their length: source and target have room
// behind.
constexpr size_t kPieceBytes = 16;
static_assert(kPieceBytes <= kUnquotePaddingBytes && kUnquotePaddingBytes <= kScanPaddingBytes);
// From here on a call of memcpy is cheaper.
constexpr size_t kLongBytes = 64;

void CopyInPieces(const uint8_t* text, size_t size, uint8_t* out) {
  if (size > kLongBytes) {
    std::memcpy(out, text, size);
    return;
  }
  size_t at = 0;
  do {
    std::memcpy(out + at, text + at, kPieceBytes);
    at += kPieceBytes;
  } while (at < size);
}

// No field gets longer by conversion; with room behind the last.
int64_t MostBytes(const TextBlock& block, int field) {
  const auto columns = static_cast<size_t>(block.columns);
  const uint32_t* field_end = block.ends.data() + block.first_end + 1 + static_cast<size_t>(field);
  int64_t total = 0;
  for (int64_t row = 0; row < block.rows; ++row, field_end += columns) {
    total += static_cast<uint32_t>(field_end[0] - field_end[-1] - 1);
  }
  return total + static_cast<int64_t>(kUnquotePaddingBytes);
}

template <typename Offset, bool kBase64>
class TextConverter : public ColumnConverter {
 public:
  static Result<std::unique_ptr<ColumnConverter>> Make(const ColumnPlace& place) {
    const int64_t bytes = MostBytes(place.block, place.field);
    if (bytes > std::numeric_limits<Offset>::max()) {
      return Fail(Fault::kInput, "a block holds more than 2 GiB of one column",
                  {.object = *place.block.object}, "Choose a smaller block_bytes.");
    }
    return std::unique_ptr<ColumnConverter>(new TextConverter(place, bytes));
  }

  int64_t SlabBytes() const override {
    return Validity::SlabBytes(place_.block.rows) + Slab::BytesOf(OffsetBytes()) +
           Slab::BytesOf(most_bytes_);
  }

  Status Begin(Slab* slab) override {
    ARROW_RETURN_NOT_OK(validity_.Begin(place_.block.rows, slab));
    ARROW_ASSIGN_OR_RAISE(offsets_, slab->Take(OffsetBytes()));
    reinterpret_cast<Offset*>(offsets_->mutable_data())[0] = 0;
    return slab->Take(most_bytes_).Value(&data_);
  }

  Status ConvertTo(int64_t end) override {
    if (HasStopped(place_, result_)) return Status::OK();
    const int64_t begin = next_;
    next_ = end;
    auto* const offsets = reinterpret_cast<Offset*>(offsets_->mutable_data());
    uint8_t* const data = data_->mutable_data();
    Offset at = offsets[begin];
    UnquoteFunction* const unquote = unquote_;
    const uint8_t quote = place_.block.dialect.quote;
    // Else all values are checked together, when they have been copied.
    const bool checks_each = place_.options.past_bad_cells;
    const auto mark = static_cast<uint8_t>(place_.rules.empty_mark);
    const auto is_marked = [&](const uint8_t* text, size_t size) {
      return mark != 0 && (size == 0 || text[0] == mark);
    };
    const auto set_null = [&](int64_t row) {
      validity_.SetNull(row);
      offsets[row + 1] = at;
    };
    WalkField(
        place_.block, place_.field, place_.rules, begin, end, set_null,
        [&](int64_t row, const uint8_t* text, size_t size) {
          if (kBase64 || is_marked(text, size)) return false;
          if (checks_each && !IsUtf8({reinterpret_cast<const char*>(text), size})) return false;
          CopyInPieces(text, size, data + at);
          at += static_cast<Offset>(size);
          offsets[row + 1] = at;
          return true;
        },
        [&](int64_t row, std::string_view text) {
          if (is_marked(reinterpret_cast<const uint8_t*>(text.data()), text.size())) {
            if (text.empty()) {
              set_null(row);
              return ParseFault::kNone;
            }
            text.remove_prefix(1);
          }
          if constexpr (kBase64) {
            bytes_.clear();
            const ParseFault fault = ParseBase64(text, &bytes_);
            if (fault != ParseFault::kNone) return fault;
            text = bytes_;
          } else if (checks_each && FindInvalidUtf8(text) >= 0) {
            return ParseFault::kSyntax;
          }
          if (!text.empty()) std::memcpy(data + at, text.data(), text.size());
          at += static_cast<Offset>(text.size());
          offsets[row + 1] = at;
          return ParseFault::kNone;
        },
        OnBadCell(place_, &result_, set_null),
        [&](int64_t row, const uint8_t* text, size_t size) {
          if (kBase64 || checks_each) return false;
          size_t bytes = unquote(text, size, quote, data + at);
          if (is_marked(data + at, bytes)) {
            if (bytes == 0) {
              set_null(row);
              return true;
            }
            std::memmove(data + at, data + at + 1, --bytes);
          }
          at += static_cast<Offset>(bytes);
          offsets[row + 1] = at;
          return true;
        });
    if constexpr (!kBase64) {
      if (!checks_each) CheckUtf8(begin, end);
    }
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (HasStopped(place_, result_)) return std::move(result_);
    const auto* const offsets = reinterpret_cast<const Offset*>(offsets_->data());
    data_ = arrow::SliceBuffer(std::move(data_), 0, offsets[place_.block.rows]);
    result_.array = arrow::MakeArray(arrow::ArrayData::Make(
        place_.type, place_.block.rows, {validity_.buffer(), std::move(offsets_), std::move(data_)},
        validity_.null_count()));
    return std::move(result_);
  }

 private:
  TextConverter(const ColumnPlace& place, int64_t most_bytes)
      : place_(place), most_bytes_(most_bytes) {}

  int64_t OffsetBytes() const {
    return (place_.block.rows + 1) * static_cast<int64_t>(sizeof(Offset));
  }

  // The first value that is not UTF-8. Values that are well-formed where they touch are so by
  // themselves if none begins with a byte that continues a sequence.
  void CheckUtf8(int64_t begin, int64_t end) {
    const auto* const offsets = reinterpret_cast<const Offset*>(offsets_->data());
    const auto* const text = reinterpret_cast<const char*>(data_->data());
    const auto value_of = [&](int64_t from, int64_t to) {
      return std::string_view(text + offsets[from],
                              static_cast<size_t>(offsets[to] - offsets[from]));
    };
    const std::string_view all = value_of(begin, end);
    if (IsAscii(all) || (!AnyContinues(begin, end) && IsUtf8(all))) return;
    for (int64_t row = begin; row < end; ++row) {
      const std::string_view value = value_of(row, row + 1);
      if (FindInvalidUtf8(value) < 0) continue;
      result_.bad.push_back({.row = row, .value = std::string(value)});
      return;
    }
  }

  bool AnyContinues(int64_t begin, int64_t end) const {
    const auto* const offsets = reinterpret_cast<const Offset*>(offsets_->data());
    const uint8_t* const data = data_->data();
    bool any = false;
    for (int64_t row = begin; row < end; ++row) {
      any |= offsets[row] != offsets[row + 1] && (data[offsets[row]] & 0xC0) == 0x80;
    }
    return any;
  }

  const ColumnPlace place_;
  const int64_t most_bytes_;
  UnquoteFunction* const unquote_ = Unquote();
  Validity validity_;
  std::shared_ptr<arrow::Buffer> offsets_;
  std::shared_ptr<arrow::Buffer> data_;
  ConvertedColumn result_;
  int64_t next_ = 0;
  std::string bytes_;
};

}  // namespace

Result<std::unique_ptr<ColumnConverter>> MakeTextConverter(const ColumnPlace& place) {
  switch (place.type->id()) {
    case arrow::Type::STRING:
      return TextConverter<int32_t, false>::Make(place);
    case arrow::Type::LARGE_STRING:
      return TextConverter<int64_t, false>::Make(place);
    case arrow::Type::BINARY:
      return TextConverter<int32_t, true>::Make(place);
    case arrow::Type::LARGE_BINARY:
      return TextConverter<int64_t, true>::Make(place);
    default:
      return Fail(Fault::kInternal, "no text converter for " + place.type->ToString());
  }
}

}  // namespace hayate::csv
