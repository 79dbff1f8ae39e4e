#include "hayate/frame/whole_writer.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <vector>

#include "hayate/frame/parallel.h"
#include "hayate/frame/whole_layout.h"

namespace hayate::frame {
namespace {

constexpr int64_t kOffsetsPerWrite = 32 * 1024;
constexpr auto kOffsetWidth = static_cast<int64_t>(sizeof(int64_t));

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

// Fills the holes of a file that has been laid out. Any number of threads.
class Filler {
 public:
  Filler(const FrameReader& frame, const WholeLayout& layout, const SparseSink& sink)
      : frame_(frame), layout_(layout), sink_(sink) {}

  Status FillBatch(const WholeBatch& place) const {
    if (place.rows == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto batch, frame_.ReadBatch(place.part, place.batch));
    for (size_t i = 0; i < layout_.columns().size(); ++i) {
      if (layout_.columns()[i].placement == Placement::kMemory) continue;
      ARROW_ASSIGN_OR_RAISE(const auto array, layout_.Conformed(place, *batch, i));
      ARROW_RETURN_NOT_OK(FillColumn(place, i, *array));
    }
    return Status::OK();
  }

  // What belongs to no one batch: bitmaps, and the offset behind the last text.
  Status FillEnds(const WholeColumn& column) const {
    if (column.valid_bits && layout_.rows() > 0) {
      ARROW_RETURN_NOT_OK(
          sink_.Fill(column.validity.offset, column.valid_bits->data(), layout_.bitmap_bytes()));
    }
    if (column.value_bits && layout_.rows() > 0) {
      ARROW_RETURN_NOT_OK(
          sink_.Fill(column.values.offset, column.value_bits->data(), layout_.bitmap_bytes()));
    }
    if (column.placement != Placement::kText) return Status::OK();
    return sink_.Fill(column.values.offset + layout_.rows() * kOffsetWidth, &column.text_bytes,
                      kOffsetWidth);
  }

 private:
  Status FillColumn(const WholeBatch& place, size_t index, const arrow::Array& array) const {
    const WholeColumn& column = layout_.columns()[index];
    const arrow::ArrayData& data = *array.data();
    if (column.valid_bits) {
      column.valid_bits->Copy(array.null_count() > 0 ? data.buffers[0]->data() : nullptr,
                              data.offset, place.rows, place.row);
    }
    switch (column.placement) {
      case Placement::kBits:
        column.value_bits->Copy(data.buffers[1]->data(), data.offset, place.rows, place.row);
        return Status::OK();
      case Placement::kText:
        return FillText(column, place, place.text_bytes[index],
                        static_cast<const arrow::LargeBinaryArray&>(array));
      case Placement::kFixed:
        return sink_.Fill(column.values.offset + place.row * column.width,
                          data.buffers[1]->data() + data.offset * column.width,
                          place.rows * column.width);
      case Placement::kMemory:
        return Status::OK();
    }
    return Status::OK();
  }

  Status FillText(const WholeColumn& column, const WholeBatch& place, int64_t text_before,
                  const arrow::LargeBinaryArray& array) const {
    const int64_t* offsets = array.raw_value_offsets();
    std::vector<int64_t> moved(static_cast<size_t>(std::min(kOffsetsPerWrite, place.rows)));
    for (int64_t begin = 0; begin < place.rows; begin += kOffsetsPerWrite) {
      const int64_t count = std::min(kOffsetsPerWrite, place.rows - begin);
      for (int64_t i = 0; i < count; ++i) {
        moved[static_cast<size_t>(i)] = offsets[begin + i] - offsets[0] + text_before;
      }
      ARROW_RETURN_NOT_OK(sink_.Fill(column.values.offset + (place.row + begin) * kOffsetWidth,
                                     moved.data(), count * kOffsetWidth));
    }
    const int64_t bytes = array.total_values_length();
    if (bytes == 0) return Status::OK();
    return sink_.Fill(column.text.offset + text_before, array.raw_data() + offsets[0], bytes);
  }

  const FrameReader& frame_;
  const WholeLayout& layout_;
  const SparseSink& sink_;
};

}  // namespace

Status WriteWhole(const FrameReader& frame, const std::string& path, int threads,
                  const std::shared_ptr<const arrow::KeyValueMetadata>& footer) {
  ARROW_ASSIGN_OR_RAISE(auto dictionaries,
                        DictionaryMerge::Make(frame, WithLargeStrings(*frame.manifest().schema)));
  WholeLayout layout(frame, std::move(dictionaries));
  ARROW_RETURN_NOT_OK(layout.Measure(threads));
  ARROW_ASSIGN_OR_RAISE(const auto sink, layout.Lay(path, footer));
  const Filler filler(frame, layout, *sink);
  ARROW_RETURN_NOT_OK(ParallelFor(
      static_cast<int64_t>(layout.batches().size()), threads,
      [&](int64_t i) { return filler.FillBatch(layout.batches()[static_cast<size_t>(i)]); }));
  ARROW_RETURN_NOT_OK(ParallelFor(
      static_cast<int64_t>(layout.columns().size()), threads,
      [&](int64_t i) { return filler.FillEnds(layout.columns()[static_cast<size_t>(i)]); }));
  return sink->Commit();
}

}  // namespace hayate::frame
