#include "hayate/shuffle/gather.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/compute/api_vector.h>
#include <arrow/datum.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>

#include <cstring>
#include <limits>

namespace hayate::shuffle {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using BufferPtr = std::shared_ptr<arrow::Buffer>;
using Pieces = std::vector<RowsOfChunk>;

template <typename Slot>
const Slot* SlotsOf(const arrow::Array& chunk) {
  return chunk.data()->GetValues<Slot>(1);
}

int64_t CountRows(const Pieces& pieces) {
  int64_t rows = 0;
  for (const RowsOfChunk& piece : pieces) rows += static_cast<int64_t>(piece.rows.size());
  return rows;
}

Result<BufferPtr> GatherBits(const Pieces& pieces, int buffer, int64_t length) {
  ARROW_ASSIGN_OR_RAISE(BufferPtr out, arrow::AllocateEmptyBitmap(length));
  uint8_t* bits = out->mutable_data();
  int64_t at = 0;
  for (const auto& [chunk, rows] : pieces) {
    const auto& data = *chunk->data();
    const auto& source = data.buffers[static_cast<size_t>(buffer)];
    if (!source) {  // a validity bitmap that is left out: all valid
      for (size_t i = 0; i < rows.size(); ++i) arrow::bit_util::SetBit(bits, at++);
      continue;
    }
    for (const uint32_t row : rows) {
      arrow::bit_util::SetBitTo(bits, at++,
                                arrow::bit_util::GetBit(source->data(), data.offset + row));
    }
  }
  return out;
}

// The bitmap, or null where no row is null; `nulls` is set.
Result<BufferPtr> GatherValidity(const Pieces& pieces, int64_t length, int64_t* nulls) {
  *nulls = 0;
  bool any = false;
  for (const auto& [chunk, rows] : pieces) any = any || (chunk->null_count() > 0 && !rows.empty());
  if (!any) return BufferPtr();
  ARROW_ASSIGN_OR_RAISE(BufferPtr bitmap, GatherBits(pieces, 0, length));
  *nulls = length - arrow::internal::CountSetBits(bitmap->data(), 0, length);
  return *nulls > 0 ? bitmap : BufferPtr();
}

template <typename Slot>
Result<BufferPtr> GatherSlots(const Pieces& pieces, int64_t length) {
  ARROW_ASSIGN_OR_RAISE(BufferPtr buffer,
                        arrow::AllocateBuffer(length * static_cast<int64_t>(sizeof(Slot))));
  Slot* out = reinterpret_cast<Slot*>(buffer->mutable_data());
  for (const auto& [chunk, rows] : pieces) {
    const Slot* in = SlotsOf<Slot>(*chunk);
    for (const uint32_t row : rows) *out++ = in[row];
  }
  return buffer;
}

Result<BufferPtr> GatherWide(const Pieces& pieces, int64_t length, int64_t width) {
  ARROW_ASSIGN_OR_RAISE(BufferPtr buffer, arrow::AllocateBuffer(length * width));
  uint8_t* out = buffer->mutable_data();
  for (const auto& [chunk, rows] : pieces) {
    if (rows.empty()) continue;
    const auto& data = *chunk->data();
    const uint8_t* in = data.buffers[1]->data() + data.offset * width;
    for (const uint32_t row : rows) {
      std::memcpy(out, in + row * width, static_cast<size_t>(width));
      out += width;
    }
  }
  return buffer;
}

Result<ArrayPtr> GatherFixed(const std::shared_ptr<arrow::DataType>& type, const Pieces& pieces) {
  const int64_t length = CountRows(pieces);
  auto data = std::make_shared<arrow::ArrayData>(type, length);
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto validity, GatherValidity(pieces, length, &nulls));
  data->null_count = nulls;
  const int bits = static_cast<const arrow::FixedWidthType&>(*type).bit_width();
  BufferPtr values;
  switch (bits) {
    case 1: {
      ARROW_ASSIGN_OR_RAISE(values, GatherBits(pieces, 1, length));
      break;
    }
    case 8: {
      ARROW_ASSIGN_OR_RAISE(values, GatherSlots<uint8_t>(pieces, length));
      break;
    }
    case 16: {
      ARROW_ASSIGN_OR_RAISE(values, GatherSlots<uint16_t>(pieces, length));
      break;
    }
    case 32: {
      ARROW_ASSIGN_OR_RAISE(values, GatherSlots<uint32_t>(pieces, length));
      break;
    }
    case 64: {
      ARROW_ASSIGN_OR_RAISE(values, GatherSlots<uint64_t>(pieces, length));
      break;
    }
    default: {
      ARROW_ASSIGN_OR_RAISE(values, GatherWide(pieces, length, bits / 8));
      break;
    }
  }
  data->buffers = {std::move(validity), std::move(values)};
  if (type->id() == arrow::Type::DICTIONARY) {
    data->dictionary = pieces.front().chunk->data()->dictionary;
  }
  return arrow::MakeArray(data);
}

template <typename Offset>
Result<ArrayPtr> GatherBytes(const std::shared_ptr<arrow::DataType>& type, const Pieces& pieces) {
  const int64_t length = CountRows(pieces);
  auto data = std::make_shared<arrow::ArrayData>(type, length);
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto validity, GatherValidity(pieces, length, &nulls));
  data->null_count = nulls;
  ARROW_ASSIGN_OR_RAISE(BufferPtr offsets,
                        arrow::AllocateBuffer((length + 1) * static_cast<int64_t>(sizeof(Offset))));
  Offset* offset = reinterpret_cast<Offset*>(offsets->mutable_data());
  int64_t total = 0;
  *offset++ = 0;
  for (const auto& [chunk, rows] : pieces) {
    const Offset* in = SlotsOf<Offset>(*chunk);
    for (const uint32_t row : rows) {
      total += in[row + 1] - in[row];
      *offset++ = static_cast<Offset>(total);
    }
  }
  if (total > std::numeric_limits<Offset>::max()) {
    return Fail(Fault::kInput, "a column has more than 2 GiB of text in one partition", {},
                "Use the type large_string for it.");
  }
  ARROW_ASSIGN_OR_RAISE(BufferPtr bytes, arrow::AllocateBuffer(total));
  uint8_t* out = bytes->mutable_data();
  for (const auto& [chunk, rows] : pieces) {
    const Offset* in = SlotsOf<Offset>(*chunk);
    const auto& source = chunk->data()->buffers[2];
    if (!source) continue;  // no bytes in it
    for (const uint32_t row : rows) {
      const auto size = static_cast<size_t>(in[row + 1] - in[row]);
      std::memcpy(out, source->data() + in[row], size);
      out += size;
    }
  }
  data->buffers = {std::move(validity), std::move(offsets), std::move(bytes)};
  return arrow::MakeArray(data);
}

// Nested types and views: Arrow's own Take, a chunk at a time.
Result<ArrayPtr> GatherAny(const std::shared_ptr<arrow::DataType>& type, const Pieces& pieces) {
  arrow::ArrayVector taken;
  for (const auto& [chunk, rows] : pieces) {
    const arrow::UInt32Array indices(static_cast<int64_t>(rows.size()),
                                     arrow::Buffer::Wrap(rows.data(), rows.size()));
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum piece,
                          arrow::compute::Take(chunk->data(), indices.data(),
                                               arrow::compute::TakeOptions::NoBoundsCheck()));
    taken.push_back(piece.make_array());
  }
  if (taken.empty()) return arrow::MakeEmptyArray(type);
  return arrow::Concatenate(taken);
}

}  // namespace

Result<ArrayPtr> Gather(const std::shared_ptr<arrow::DataType>& type, const Pieces& pieces) {
  if (pieces.empty()) return arrow::MakeEmptyArray(type);
  switch (type->id()) {
    case arrow::Type::NA:
      return std::make_shared<arrow::NullArray>(CountRows(pieces));
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return GatherBytes<int32_t>(type, pieces);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return GatherBytes<int64_t>(type, pieces);
    case arrow::Type::DICTIONARY:
      return GatherFixed(type, pieces);
    default:
      return arrow::is_fixed_width(type->id()) && !arrow::is_nested(type->id())
                 ? GatherFixed(type, pieces)
                 : GatherAny(type, pieces);
  }
}

}  // namespace hayate::shuffle
