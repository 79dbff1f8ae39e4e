#include "hayate/frame/null_slots.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace hayate::frame {
namespace {

// A quiet NaN of IEEE 754 binary16.
constexpr uint16_t kHalfNan = 0x7e00;

bool IsFiller(uint16_t slot) { return (slot & 0x7c00) == 0x7c00 && (slot & 0x03ff) != 0; }
bool IsFiller(float slot) { return std::isnan(slot); }
bool IsFiller(double slot) { return std::isnan(slot); }
bool IsFiller(int64_t slot) { return slot == std::numeric_limits<int64_t>::min(); }

template <typename Slot>
Result<std::shared_ptr<arrow::ArrayData>> Fill(const std::shared_ptr<arrow::ArrayData>& data,
                                               Slot filler) {
  const uint8_t* validity = data->buffers[0]->data();
  const Slot* slots = data->GetValues<Slot>(1);
  int64_t first_wrong = 0;
  while (first_wrong < data->length &&
         (arrow::bit_util::GetBit(validity, data->offset + first_wrong) ||
          IsFiller(slots[first_wrong]))) {
    ++first_wrong;
  }
  if (first_wrong == data->length) return data;
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> values,
      arrow::AllocateBuffer((data->offset + data->length) * static_cast<int64_t>(sizeof(Slot))));
  // The offset is kept, so that the bitmap need not be shifted; what lies before it is not read.
  Slot* out = reinterpret_cast<Slot*>(values->mutable_data());
  std::memset(out, 0, static_cast<size_t>(data->offset) * sizeof(Slot));
  out += data->offset;
  std::memcpy(out, slots, static_cast<size_t>(data->length) * sizeof(Slot));
  for (int64_t i = first_wrong; i < data->length; ++i) {
    if (!arrow::bit_util::GetBit(validity, data->offset + i)) out[i] = filler;
  }
  auto filled = std::make_shared<arrow::ArrayData>(*data);
  filled->buffers[1] = std::move(values);
  return filled;
}

}  // namespace

Result<std::shared_ptr<arrow::ArrayData>> WithNullSlots(
    const std::shared_ptr<arrow::ArrayData>& data) {
  if (data->length == 0 || data->buffers.empty() || !data->buffers[0] ||
      data->GetNullCount() == 0) {
    return data;
  }
  switch (data->type->id()) {
    case arrow::Type::HALF_FLOAT:
      return Fill<uint16_t>(data, kHalfNan);
    case arrow::Type::FLOAT:
      return Fill<float>(data, std::numeric_limits<float>::quiet_NaN());
    case arrow::Type::DOUBLE:
      return Fill<double>(data, std::numeric_limits<double>::quiet_NaN());
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
    case arrow::Type::DATE64:
      return Fill<int64_t>(data, std::numeric_limits<int64_t>::min());
    default:
      return data;
  }
}

}  // namespace hayate::frame
