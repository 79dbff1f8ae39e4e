#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>

#include <cstring>
#include <limits>
#include <utility>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/utf8.h"
#include "hayate/csv/validity.h"

namespace hayate::csv {
namespace {

// Texts are copied in pieces of so many bytes, whatever their length: source and target have room
// behind.
constexpr size_t kPieceBytes = 16;
static_assert(kPieceBytes <= kScanPaddingBytes);
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

// No field gets longer by conversion.
size_t MostBytes(const TextBlock& block, int field, int64_t begin, int64_t end) {
  const auto columns = static_cast<size_t>(block.columns);
  const uint32_t* field_end = block.ends.data() + block.first_end + 1 +
                              static_cast<size_t>(begin) * columns + static_cast<size_t>(field);
  size_t total = 0;
  for (int64_t row = begin; row < end; ++row, field_end += columns) {
    total += static_cast<uint32_t>(field_end[0] - field_end[-1] - 1);
  }
  return total;
}

template <typename Offset, bool kBase64>
class TextConverter : public ColumnConverter {
 public:
  static Result<std::unique_ptr<ColumnConverter>> Make(const ColumnPlace& place) {
    ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(place.block.rows));
    ARROW_ASSIGN_OR_RAISE(
        std::shared_ptr<arrow::Buffer> offsets,
        arrow::AllocateBuffer((place.block.rows + 1) * static_cast<int64_t>(sizeof(Offset))));
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> data,
                          arrow::AllocateResizableBuffer(0));
    reinterpret_cast<Offset*>(offsets->mutable_data())[0] = 0;
    return std::unique_ptr<ColumnConverter>(
        new TextConverter(place, std::move(validity), std::move(offsets), std::move(data)));
  }

  Status ConvertTo(int64_t end) override {
    if (result_.bad) return Status::OK();
    ARROW_RETURN_NOT_OK(Reserve(end));
    const int64_t begin = next_;
    next_ = end;
    auto* const offsets = reinterpret_cast<Offset*>(offsets_->mutable_data());
    uint8_t* const data = data_->mutable_data();
    Offset at = offsets[begin];
    WalkField(
        place_.block, place_.field, place_.rules, begin, end, &result_.bad,
        [&](int64_t row) {
          validity_.SetNull(row);
          offsets[row + 1] = at;
        },
        [&](int64_t row, const uint8_t* text, size_t size) {
          if constexpr (kBase64) return false;
          CopyInPieces(text, size, data + at);
          at += static_cast<Offset>(size);
          offsets[row + 1] = at;
          return true;
        },
        [&](int64_t row, std::string_view text) {
          if constexpr (kBase64) {
            bytes_.clear();
            const ParseFault fault = ParseBase64(text, &bytes_);
            if (fault != ParseFault::kNone) return fault;
            text = bytes_;
          }
          if (!text.empty()) std::memcpy(data + at, text.data(), text.size());
          at += static_cast<Offset>(text.size());
          offsets[row + 1] = at;
          return ParseFault::kNone;
        });
    if constexpr (!kBase64) CheckUtf8(begin, result_.bad ? result_.bad->row : end);
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (result_.bad) return std::move(result_);
    const auto* const offsets = reinterpret_cast<const Offset*>(offsets_->data());
    ARROW_RETURN_NOT_OK(data_->Resize(offsets[place_.block.rows], /*shrink_to_fit=*/false));
    result_.array = arrow::MakeArray(arrow::ArrayData::Make(
        place_.type, place_.block.rows, {validity_.buffer(), std::move(offsets_), std::move(data_)},
        validity_.null_count()));
    return std::move(result_);
  }

 private:
  TextConverter(const ColumnPlace& place, Validity validity, std::shared_ptr<arrow::Buffer> offsets,
                std::shared_ptr<arrow::ResizableBuffer> data)
      : place_(place),
        validity_(std::move(validity)),
        offsets_(std::move(offsets)),
        data_(std::move(data)) {}

  // Room for the rows up to `end`, and by the look of them for all that follow.
  Status Reserve(int64_t end) {
    const auto used =
        static_cast<int64_t>(reinterpret_cast<const Offset*>(offsets_->data())[next_]);
    const auto more = static_cast<int64_t>(MostBytes(place_.block, place_.field, next_, end));
    if (used + more > std::numeric_limits<Offset>::max()) {
      return Fail(Fault::kInput, "a block holds more than 2 GiB of one column",
                  {.object = *place_.block.object}, "Choose a smaller block_bytes.");
    }
    const int64_t needed = used + more + static_cast<int64_t>(kPieceBytes);
    if (needed <= data_->capacity()) return Status::OK();
    const double of_all = static_cast<double>(used + more) / static_cast<double>(end) *
                          static_cast<double>(place_.block.rows);
    constexpr double kSpare = 1.05;
    return data_->Reserve(std::max(needed, static_cast<int64_t>(of_all * kSpare)));
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
      result_.bad = BadCell{.row = row, .fault = ParseFault::kSyntax, .value = std::string(value)};
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
  Validity validity_;
  std::shared_ptr<arrow::Buffer> offsets_;
  std::shared_ptr<arrow::ResizableBuffer> data_;
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
