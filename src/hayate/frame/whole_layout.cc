#include "hayate/frame/whole_layout.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>

#include "hayate/frame/conform.h"
#include "hayate/frame/parallel.h"

namespace hayate::frame {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using BufferPtr = std::shared_ptr<arrow::Buffer>;

Placement PlacementOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Placement::kBits;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return Placement::kText;
    case arrow::Type::DICTIONARY:
      return Placement::kFixed;
    default:
      return arrow::is_fixed_width(type.id()) && !arrow::is_nested(type.id()) ? Placement::kFixed
                                                                              : Placement::kMemory;
  }
}

// Of no bytes there is nothing to look up later.
BufferPtr TakeBuffer(ReservedAddresses* reserved, int64_t bytes, Place* place) {
  uint8_t* taken = reserved->Take(bytes);
  if (bytes > 0) place->address = taken;
  return std::make_shared<arrow::Buffer>(taken, bytes);
}

Status LookUp(const SparseSink& sink, Place* place) {
  if (place->address == nullptr) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(place->offset, sink.OffsetOf(place->address));
  place->address = nullptr;
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<Bitmap>> Bitmap::Make(int64_t rows) {
  auto bitmap = std::make_unique<Bitmap>();
  ARROW_ASSIGN_OR_RAISE(bitmap->bits_, arrow::AllocateEmptyBitmap(rows));
  return bitmap;
}

void Bitmap::Copy(const uint8_t* source, int64_t offset, int64_t length, int64_t row) {
  const std::lock_guard lock(mutex_);  // neighbours share a byte
  if (source == nullptr) {
    arrow::bit_util::SetBitsTo(bits_->mutable_data(), row, length, true);
  } else {
    arrow::internal::CopyBitmap(source, offset, length, bits_->mutable_data(), row);
  }
}

const uint8_t* Bitmap::data() const { return bits_->data(); }

WholeLayout::WholeLayout(const FrameReader& frame, DictionaryMerge dictionaries)
    : frame_(frame),
      dictionaries_(std::move(dictionaries)),
      schema_(dictionaries_.schema()),
      columns_(static_cast<size_t>(schema_->num_fields())) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const auto& type = *schema_->field(static_cast<int>(i))->type();
    columns_[i].placement = PlacementOf(type);
    if (columns_[i].placement == Placement::kFixed) {
      columns_[i].width = static_cast<const arrow::FixedWidthType&>(type).bit_width() / 8;
    }
  }
}

Result<ArrayPtr> WholeLayout::Conformed(const WholeBatch& place, const arrow::RecordBatch& batch,
                                        size_t column) const {
  const auto index = static_cast<int>(column);
  const auto& field = *schema_->field(index);
  if (field.type()->id() == arrow::Type::DICTIONARY) {
    return dictionaries_.Apply(static_cast<size_t>(place.part), index, batch.column(index));
  }
  return ConformColumn(batch.column(index), field);
}

Status WholeLayout::Measure(int threads) {
  for (int64_t part = 0; part < frame_.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame_.NumBatches(part));
    for (int64_t i = 0; i < batches; ++i) batches_.push_back({.part = part, .batch = i});
  }
  ARROW_RETURN_NOT_OK(ParallelFor(static_cast<int64_t>(batches_.size()), threads, [&](int64_t i) {
    return MeasureBatch(batches_[static_cast<size_t>(i)]);
  }));
  for (WholeBatch& place : batches_) {
    place.row = rows_;
    rows_ += place.rows;
    for (size_t i = 0; i < columns_.size(); ++i) {
      columns_[i].nulls += place.nulls[i];
      const int64_t bytes = place.text_bytes[i];
      place.text_bytes[i] = columns_[i].text_bytes;
      columns_[i].text_bytes += bytes;
    }
  }
  return Status::OK();
}

Status WholeLayout::MeasureBatch(WholeBatch& place) const {
  ARROW_ASSIGN_OR_RAISE(const auto batch, frame_.ReadBatch(place.part, place.batch));
  place.rows = batch->num_rows();
  place.nulls.resize(columns_.size());
  place.text_bytes.resize(columns_.size());
  place.in_memory.resize(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    place.nulls[i] = batch->column(static_cast<int>(i))->null_count();
    if (columns_[i].placement == Placement::kMemory) {
      ARROW_ASSIGN_OR_RAISE(place.in_memory[i], Conformed(place, *batch, i));
    } else if (columns_[i].placement == Placement::kText) {
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr column, Conformed(place, *batch, i));
      place.text_bytes[i] =
          static_cast<const arrow::LargeBinaryArray&>(*column).total_values_length();
    }
  }
  return Status::OK();
}

Result<std::shared_ptr<SparseSink>> WholeLayout::Lay(
    const std::string& path, const std::shared_ptr<const arrow::KeyValueMetadata>& footer) {
  ARROW_ASSIGN_OR_RAISE(const auto reserved, ReservedAddresses::Make(BytesToReserve()));
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  for (size_t i = 0; i < columns_.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), Placeholder(i, reserved.get()));
  }
  ARROW_ASSIGN_OR_RAISE(const auto sink, SparseSink::Create(path, reserved));
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(const auto writer,
                        arrow::ipc::MakeFileWriter(sink, schema_, options, footer));
  ARROW_RETURN_NOT_OK(
      writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema_, rows_, std::move(arrays))));
  ARROW_RETURN_NOT_OK(writer->Close());
  for (WholeColumn& column : columns_) {
    ARROW_RETURN_NOT_OK(LookUp(*sink, &column.validity));
    ARROW_RETURN_NOT_OK(LookUp(*sink, &column.values));
    ARROW_RETURN_NOT_OK(LookUp(*sink, &column.text));
  }
  return sink;
}

int64_t WholeLayout::ValueBytes(const WholeColumn& column) const {
  switch (column.placement) {
    case Placement::kFixed:
      return rows_ * column.width;
    case Placement::kBits:
      return bitmap_bytes();
    case Placement::kText:
      return (rows_ + 1) * static_cast<int64_t>(sizeof(int64_t));
    case Placement::kMemory:
      return 0;
  }
  return 0;
}

int64_t WholeLayout::BytesToReserve() const {
  int64_t bytes = 0;
  for (const WholeColumn& column : columns_) {
    for (const int64_t buffer : {bitmap_bytes(), ValueBytes(column), column.text_bytes}) {
      bytes += buffer + ReservedAddresses::kAlignmentBytes;
    }
  }
  return bytes;
}

Result<std::shared_ptr<arrow::ArrayData>> WholeLayout::Placeholder(size_t index,
                                                                   ReservedAddresses* reserved) {
  WholeColumn& column = columns_[index];
  const auto& type = schema_->field(static_cast<int>(index))->type();
  if (column.placement == Placement::kMemory) {
    ARROW_ASSIGN_OR_RAISE(const ArrayPtr array, ConcatenateInMemory(index, type));
    return array->data();
  }
  std::vector<BufferPtr> buffers(1);
  if (column.nulls > 0) {
    buffers[0] = TakeBuffer(reserved, bitmap_bytes(), &column.validity);
    ARROW_ASSIGN_OR_RAISE(column.valid_bits, Bitmap::Make(rows_));
  }
  buffers.push_back(TakeBuffer(reserved, ValueBytes(column), &column.values));
  if (column.placement == Placement::kBits) {
    ARROW_ASSIGN_OR_RAISE(column.value_bits, Bitmap::Make(rows_));
  }
  if (column.placement == Placement::kText) {
    // The one value that the writer looks at: how much text there is.
    reinterpret_cast<int64_t*>(column.values.address)[rows_] = column.text_bytes;
    buffers.push_back(TakeBuffer(reserved, column.text_bytes, &column.text));
  }
  auto data = arrow::ArrayData::Make(type, rows_, std::move(buffers), column.nulls);
  if (type->id() == arrow::Type::DICTIONARY) {
    data->dictionary = dictionaries_.dictionary(static_cast<int>(index))->data();
  }
  return data;
}

Result<ArrayPtr> WholeLayout::ConcatenateInMemory(size_t index,
                                                  const std::shared_ptr<arrow::DataType>& type) {
  arrow::ArrayVector chunks;
  for (WholeBatch& place : batches_) chunks.push_back(std::move(place.in_memory[index]));
  if (chunks.empty()) return arrow::MakeEmptyArray(type);
  return arrow::Concatenate(chunks);
}

}  // namespace hayate::frame
