#include "hayate/frame/whole_writer.h"

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

#include <algorithm>
#include <functional>
#include <mutex>
#include <vector>

#include "hayate/frame/conform.h"
#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/parallel.h"
#include "hayate/frame/sparse_sink.h"

namespace hayate::frame {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;

constexpr int64_t kOffsetsPerWrite = 32 * 1024;

enum class Kind {
  kFixed,   // values of whole bytes, dictionary indices among them
  kBits,    // booleans
  kBytes,   // large_string, large_binary
  kMemory,  // nested and the like: concatenated in memory
};

Kind KindOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Kind::kBits;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return Kind::kBytes;
    case arrow::Type::DICTIONARY:
      return Kind::kFixed;
    default:
      return arrow::is_fixed_width(type.id()) && !arrow::is_nested(type.id()) ? Kind::kFixed
                                                                              : Kind::kMemory;
  }
}

std::shared_ptr<arrow::Schema> WithLargeStrings(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    switch (field->type()->id()) {
      case arrow::Type::STRING:
      case arrow::Type::STRING_VIEW:
        fields.push_back(field->WithType(arrow::large_utf8()));
        break;
      case arrow::Type::BINARY:
      case arrow::Type::BINARY_VIEW:
        fields.push_back(field->WithType(arrow::large_binary()));
        break;
      default:
        fields.push_back(field);
    }
  }
  return arrow::schema(std::move(fields), schema.metadata());
}

// Bits of a whole column, gathered in memory: batches do not begin at whole bytes.
struct Bitmap {
  std::shared_ptr<arrow::Buffer> bits;
  std::mutex mutex;

  Status Allocate(int64_t rows) {
    ARROW_ASSIGN_OR_RAISE(bits, arrow::AllocateEmptyBitmap(rows));
    return Status::OK();
  }

  void Copy(const uint8_t* source, int64_t offset, int64_t length, int64_t row) {
    const std::lock_guard lock(mutex);
    if (source == nullptr) {
      arrow::bit_util::SetBitsTo(bits->mutable_data(), row, length, true);
    } else {
      arrow::internal::CopyBitmap(source, offset, length, bits->mutable_data(), row);
    }
  }
};

struct BatchPlace {
  int64_t part;
  int64_t batch;
  int64_t row = 0;  // of the frame, at its start
  int64_t rows = 0;
  std::vector<int64_t> nulls = {};    // by column
  std::vector<int64_t> bytes = {};    // by column: of text in the batch, later before it
  arrow::ArrayVector in_memory = {};  // by column, where it is kMemory
};

struct ColumnPlace {
  Kind kind = Kind::kFixed;
  int64_t nulls = 0;
  int64_t bytes = 0;  // of text
  // Reserved addresses in the place of the data, then offsets in the file.
  uint8_t* validity = nullptr;
  uint8_t* values = nullptr;  // or a text's offsets
  uint8_t* text = nullptr;
  int64_t validity_at = -1;
  int64_t values_at = -1;
  int64_t text_at = -1;
  std::unique_ptr<Bitmap> valid_bits;
  std::unique_ptr<Bitmap> value_bits;
  ArrayPtr in_memory;
};

class WholeWriter {
 public:
  WholeWriter(const FrameReader& frame, DictionaryMerge dictionaries, int threads)
      : frame_(frame),
        dictionaries_(std::move(dictionaries)),
        schema_(dictionaries_.schema()),
        threads_(threads),
        columns_(static_cast<size_t>(schema_->num_fields())) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      columns_[i].kind = KindOf(*schema_->field(static_cast<int>(i))->type());
    }
  }

  Status Run(const std::string& path,
             const std::shared_ptr<const arrow::KeyValueMetadata>& footer) {
    ARROW_RETURN_NOT_OK(Measure());
    ARROW_RETURN_NOT_OK(Lay(path, footer));
    ARROW_RETURN_NOT_OK(ForEachBatch([this](BatchPlace& place) { return FillBatch(place); }));
    ARROW_RETURN_NOT_OK(FillEnds());
    return sink_->Commit();
  }

 private:
  Status ForEachBatch(const std::function<Status(BatchPlace&)>& body) {
    return ParallelFor(static_cast<int64_t>(batches_.size()), threads_,
                       [&](int64_t i) { return body(batches_[static_cast<size_t>(i)]); });
  }

  Result<ArrayPtr> Column(const BatchPlace& place, const arrow::RecordBatch& batch,
                          size_t column) const {
    const auto index = static_cast<int>(column);
    const auto& field = *schema_->field(index);
    if (field.type()->id() == arrow::Type::DICTIONARY) {
      return dictionaries_.Apply(static_cast<size_t>(place.part), index, batch.column(index));
    }
    return ConformColumn(batch.column(index), field);
  }

  // What each batch has of rows, nulls and text: the sizes of everything.
  Status Measure() {
    for (int64_t part = 0; part < frame_.num_parts(); ++part) {
      ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame_.NumBatches(part));
      for (int64_t i = 0; i < batches; ++i) batches_.push_back({.part = part, .batch = i});
    }
    ARROW_RETURN_NOT_OK(ForEachBatch([this](BatchPlace& place) { return MeasureBatch(place); }));
    for (BatchPlace& place : batches_) {
      place.row = rows_;
      rows_ += place.rows;
      for (size_t i = 0; i < columns_.size(); ++i) {
        columns_[i].nulls += place.nulls[i];
        const int64_t bytes = place.bytes[i];
        place.bytes[i] = columns_[i].bytes;
        columns_[i].bytes += bytes;
      }
    }
    return Status::OK();
  }

  Status MeasureBatch(BatchPlace& place) const {
    ARROW_ASSIGN_OR_RAISE(const auto batch, frame_.ReadBatch(place.part, place.batch));
    place.rows = batch->num_rows();
    place.nulls.resize(columns_.size());
    place.bytes.resize(columns_.size());
    place.in_memory.resize(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) {
      const ArrayPtr& written = batch->column(static_cast<int>(i));
      place.nulls[i] = written->null_count();
      if (columns_[i].kind == Kind::kFixed || columns_[i].kind == Kind::kBits) continue;
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr column, Column(place, *batch, i));
      if (columns_[i].kind == Kind::kMemory) {
        place.in_memory[i] = column;
      } else {
        place.bytes[i] = static_cast<const arrow::LargeBinaryArray&>(*column).total_values_length();
      }
    }
    return Status::OK();
  }

  // Takes addresses for every buffer, has Arrow write the file over them, and looks up where in the
  // file they have come to lie.
  Status Lay(const std::string& path,
             const std::shared_ptr<const arrow::KeyValueMetadata>& footer) {
    ARROW_ASSIGN_OR_RAISE(const auto reserved, ReservedAddresses::Make(BytesToReserve()));
    std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
    for (size_t i = 0; i < columns_.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), Placeholder(i, reserved.get()));
    }
    ARROW_ASSIGN_OR_RAISE(sink_, SparseSink::Create(path, reserved));
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.use_threads = false;
    ARROW_ASSIGN_OR_RAISE(const auto writer,
                          arrow::ipc::MakeFileWriter(sink_, schema_, options, footer));
    ARROW_RETURN_NOT_OK(
        writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema_, rows_, std::move(arrays))));
    ARROW_RETURN_NOT_OK(writer->Close());
    for (ColumnPlace& column : columns_) {
      ARROW_RETURN_NOT_OK(LookUp(column.validity, &column.validity_at));
      ARROW_RETURN_NOT_OK(LookUp(column.values, &column.values_at));
      ARROW_RETURN_NOT_OK(LookUp(column.text, &column.text_at));
    }
    return Status::OK();
  }

  Status LookUp(const uint8_t* address, int64_t* offset) const {
    if (address == nullptr) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(*offset, sink_->OffsetOf(address));
    return Status::OK();
  }

  int64_t BitmapBytes() const { return arrow::bit_util::BytesForBits(rows_); }

  int64_t WidthOf(size_t column) const {
    const auto& type = *schema_->field(static_cast<int>(column))->type();
    return static_cast<const arrow::FixedWidthType&>(type).bit_width() / 8;
  }

  int64_t ValueBytes(size_t column) const {
    switch (columns_[column].kind) {
      case Kind::kFixed:
        return rows_ * WidthOf(column);
      case Kind::kBits:
        return BitmapBytes();
      case Kind::kBytes:
        return (rows_ + 1) * static_cast<int64_t>(sizeof(int64_t));
      case Kind::kMemory:
        return 0;
    }
    return 0;
  }

  int64_t BytesToReserve() const {
    constexpr int64_t kPadding = 3 * 64;
    int64_t bytes = 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
      bytes += BitmapBytes() + ValueBytes(i) + columns_[i].bytes + kPadding;
    }
    return bytes;
  }

  // A buffer over reserved addresses; of no bytes there is nothing to look up later.
  static std::shared_ptr<arrow::Buffer> TakeBuffer(ReservedAddresses* reserved, int64_t bytes,
                                                   uint8_t** address) {
    uint8_t* taken = reserved->Take(bytes);
    if (bytes > 0) *address = taken;
    return std::make_shared<arrow::Buffer>(taken, bytes);
  }

  Result<std::shared_ptr<arrow::ArrayData>> Placeholder(size_t index, ReservedAddresses* reserved) {
    ColumnPlace& column = columns_[index];
    const auto& type = schema_->field(static_cast<int>(index))->type();
    if (column.kind == Kind::kMemory) {
      ARROW_ASSIGN_OR_RAISE(column.in_memory, ConcatenateInMemory(index, type));
      return column.in_memory->data();
    }
    std::vector<std::shared_ptr<arrow::Buffer>> buffers(1);
    if (column.nulls > 0) {
      buffers[0] = TakeBuffer(reserved, BitmapBytes(), &column.validity);
      column.valid_bits = std::make_unique<Bitmap>();
      ARROW_RETURN_NOT_OK(column.valid_bits->Allocate(rows_));
    }
    buffers.push_back(TakeBuffer(reserved, ValueBytes(index), &column.values));
    if (column.kind == Kind::kBits) {
      column.value_bits = std::make_unique<Bitmap>();
      ARROW_RETURN_NOT_OK(column.value_bits->Allocate(rows_));
    }
    if (column.kind == Kind::kBytes) {
      // The one value that the writer looks at: how much text there is.
      reinterpret_cast<int64_t*>(column.values)[rows_] = column.bytes;
      buffers.push_back(TakeBuffer(reserved, column.bytes, &column.text));
    }
    auto data = arrow::ArrayData::Make(type, rows_, std::move(buffers), column.nulls);
    if (type->id() == arrow::Type::DICTIONARY) {
      data->dictionary = dictionaries_.dictionary(static_cast<int>(index))->data();
    }
    return data;
  }

  Result<ArrayPtr> ConcatenateInMemory(size_t index, const std::shared_ptr<arrow::DataType>& type) {
    arrow::ArrayVector chunks;
    for (BatchPlace& place : batches_) chunks.push_back(std::move(place.in_memory[index]));
    if (chunks.empty()) return arrow::MakeEmptyArray(type);
    return arrow::Concatenate(chunks);
  }

  Status FillBatch(const BatchPlace& place) {
    if (place.rows == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto batch, frame_.ReadBatch(place.part, place.batch));
    for (size_t i = 0; i < columns_.size(); ++i) {
      ColumnPlace& column = columns_[i];
      if (column.kind == Kind::kMemory) continue;
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr array, Column(place, *batch, i));
      const auto& data = *array->data();
      if (column.valid_bits) {
        const bool has_nulls = array->null_count() > 0;
        column.valid_bits->Copy(has_nulls ? data.buffers[0]->data() : nullptr, data.offset,
                                place.rows, place.row);
      }
      if (column.kind == Kind::kBits) {
        column.value_bits->Copy(data.buffers[1]->data(), data.offset, place.rows, place.row);
      } else if (column.kind == Kind::kBytes) {
        ARROW_RETURN_NOT_OK(FillText(column, place, place.bytes[i],
                                     static_cast<const arrow::LargeBinaryArray&>(*array)));
      } else {
        const int64_t width = WidthOf(i);
        ARROW_RETURN_NOT_OK(sink_->Fill(column.values_at + place.row * width,
                                        data.buffers[1]->data() + data.offset * width,
                                        place.rows * width));
      }
    }
    return Status::OK();
  }

  Status FillText(const ColumnPlace& column, const BatchPlace& place, int64_t text_before,
                  const arrow::LargeBinaryArray& array) const {
    const int64_t* offsets = array.raw_value_offsets();
    std::vector<int64_t> moved(static_cast<size_t>(std::min(kOffsetsPerWrite, place.rows)));
    for (int64_t begin = 0; begin < place.rows; begin += kOffsetsPerWrite) {
      const int64_t count = std::min(kOffsetsPerWrite, place.rows - begin);
      for (int64_t i = 0; i < count; ++i) {
        moved[static_cast<size_t>(i)] = offsets[begin + i] - offsets[0] + text_before;
      }
      constexpr auto kWidth = static_cast<int64_t>(sizeof(int64_t));
      ARROW_RETURN_NOT_OK(sink_->Fill(column.values_at + (place.row + begin) * kWidth, moved.data(),
                                      count * kWidth));
    }
    if (array.total_values_length() == 0) return Status::OK();
    return sink_->Fill(column.text_at + text_before, array.raw_data() + offsets[0],
                       array.total_values_length());
  }

  // What belongs to no one batch: bitmaps, and the offset behind the last text.
  Status FillEnds() {
    return ParallelFor(static_cast<int64_t>(columns_.size()), threads_, [&](int64_t i) -> Status {
      const ColumnPlace& column = columns_[static_cast<size_t>(i)];
      if (column.valid_bits && rows_ > 0) {
        ARROW_RETURN_NOT_OK(
            sink_->Fill(column.validity_at, column.valid_bits->bits->data(), BitmapBytes()));
      }
      if (column.value_bits && rows_ > 0) {
        ARROW_RETURN_NOT_OK(
            sink_->Fill(column.values_at, column.value_bits->bits->data(), BitmapBytes()));
      }
      if (column.kind != Kind::kBytes) return Status::OK();
      return sink_->Fill(column.values_at + rows_ * static_cast<int64_t>(sizeof(int64_t)),
                         &column.bytes, sizeof column.bytes);
    });
  }

  const FrameReader& frame_;
  const DictionaryMerge dictionaries_;
  const std::shared_ptr<arrow::Schema> schema_;
  const int threads_;
  std::vector<ColumnPlace> columns_;
  std::vector<BatchPlace> batches_;
  int64_t rows_ = 0;
  std::shared_ptr<SparseSink> sink_;
};

}  // namespace

Status WriteWhole(const FrameReader& frame, const std::string& path, int threads,
                  const std::shared_ptr<const arrow::KeyValueMetadata>& footer) {
  ARROW_ASSIGN_OR_RAISE(auto dictionaries,
                        DictionaryMerge::Make(frame, WithLargeStrings(*frame.manifest().schema)));
  WholeWriter writer(frame, std::move(dictionaries), std::max(1, threads));
  return writer.Run(path, footer);
}

}  // namespace hayate::frame
