#include "hayate/frame/widening.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <limits>

namespace hayate::frame {
namespace {

constexpr int64_t kExactBits = 53;  // of a double's significand

template <typename Int>
bool IsExact(Int value) {
  // Beyond 2^53 only numbers with zeros at their end are exact.
  const double converted = static_cast<double>(value);
  constexpr double kLimit = std::is_signed_v<Int> ? 0x1p63 : 0x1p64;
  return converted < kLimit && static_cast<Int>(converted) == value;
}

template <typename Int>
bool AllExact(const arrow::ArrayData& data) {
  constexpr Int kBound = Int{1} << kExactBits;
  const Int* values = data.GetValues<Int>(1);
  const uint8_t* validity =
      data.GetNullCount() > 0 && data.buffers[0] ? data.buffers[0]->data() : nullptr;
  constexpr int64_t kBlock = 1024;
  for (int64_t begin = 0; begin < data.length; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, data.length);
    bool beyond = false;  // without branches, so that it is vectorised
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (std::is_signed_v<Int>) {
        beyond |= (values[i] > kBound) | (values[i] < -kBound);
      } else {
        beyond |= values[i] > kBound;
      }
    }
    if (!beyond) continue;
    for (int64_t i = begin; i < end; ++i) {
      const bool valid = !validity || arrow::bit_util::GetBit(validity, data.offset + i);
      if (valid && !IsExact(values[i])) return false;
    }
  }
  return true;
}

// The finest unit, from `unit` on, in which int64 holds every time.
arrow::TimeUnit::type FinestUnit(const arrow::ArrayData& data, arrow::TimeUnit::type unit) {
  if (unit == arrow::TimeUnit::NANO) return unit;
  const auto* values = data.GetValues<int64_t>(1);
  const uint8_t* validity =
      data.GetNullCount() > 0 && data.buffers[0] ? data.buffers[0]->data() : nullptr;
  int64_t least = 0;
  int64_t greatest = 0;
  for (int64_t i = 0; i < data.length; ++i) {
    const bool valid = !validity || arrow::bit_util::GetBit(validity, data.offset + i);
    least = std::min(least, valid ? values[i] : 0);
    greatest = std::max(greatest, valid ? values[i] : 0);
  }
  constexpr int64_t kStep = 1000;  // from each unit to the next
  constexpr auto kLimits = std::numeric_limits<int64_t>();
  int finest = unit;
  while (finest < arrow::TimeUnit::NANO && greatest <= kLimits.max() / kStep &&
         least >= kLimits.min() / kStep) {
    least *= kStep;
    greatest *= kStep;
    ++finest;
  }
  return static_cast<arrow::TimeUnit::type>(finest);
}

}  // namespace

void WideningLimits::AddArray(const arrow::Array& array, Column* column) {
  if (array.length() == 0) return;
  const arrow::ArrayData& data = *array.data();
  switch (array.type_id()) {
    case arrow::Type::INT64:  // 32 bits and fewer are always exact
      column->exact_as_double = column->exact_as_double && AllExact<int64_t>(data);
      return;
    case arrow::Type::UINT64:
      column->exact_as_double = column->exact_as_double && AllExact<uint64_t>(data);
      return;
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION: {
      const auto unit = array.type_id() == arrow::Type::TIMESTAMP
                            ? static_cast<const arrow::TimestampType&>(*array.type()).unit()
                            : static_cast<const arrow::DurationType&>(*array.type()).unit();
      column->finest_unit = std::min(column->finest_unit, FinestUnit(data, unit));
      return;
    }
    case arrow::Type::DICTIONARY:
      return AddArray(*static_cast<const arrow::DictionaryArray&>(array).dictionary(), column);
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      const int64_t first = list.value_offset(0);
      return AddArray(*list.values()->Slice(first, list.value_offset(list.length()) - first),
                      column);
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = static_cast<const arrow::LargeListArray&>(array);
      const int64_t first = list.value_offset(0);
      return AddArray(*list.values()->Slice(first, list.value_offset(list.length()) - first),
                      column);
    }
    default:
      return;
  }
}

void WideningLimits::Add(const arrow::RecordBatch& batch) {
  for (int i = 0; i < batch.num_columns(); ++i) {
    AddArray(*batch.column(i), &columns_[static_cast<size_t>(i)]);
  }
}

void WideningLimits::RecordIn(Part* part) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const std::string& name = part->schema->field(static_cast<int>(i))->name();
    if (!columns_[i].exact_as_double) part->inexact_as_double.push_back(name);
    if (columns_[i].finest_unit < arrow::TimeUnit::NANO) {
      part->finest_unit[name] = columns_[i].finest_unit;
    }
  }
}

}  // namespace hayate::frame
