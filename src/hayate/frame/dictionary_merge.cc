#include "hayate/frame/dictionary_merge.h"

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bitmap_ops.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "hayate/frame/reader.h"
#include "hayate/frame/unify.h"

namespace hayate::frame {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// `type` if it can count `values`, else the narrowest signed type that can.
std::shared_ptr<arrow::DataType> WideEnough(const std::shared_ptr<arrow::DataType>& type,
                                            int64_t values) {
  const auto width = static_cast<unsigned>(type->bit_width());
  const unsigned bits = width - (arrow::is_signed_integer(type->id()) ? 1 : 0);
  if (bits >= 31 || values <= (int64_t{1} << bits)) return type;
  return values <= std::numeric_limits<int16_t>::max() ? arrow::int16() : arrow::int32();
}

template <typename Index>
void Transpose(const arrow::Array& indices, const int32_t* map, int32_t* out) {
  const Index* in = indices.data()->GetValues<Index>(1);
  for (int64_t i = 0; i < indices.length(); ++i) {
    // Under a null the index may be anything.
    out[i] = indices.IsNull(i) ? 0 : map[in[i]];
  }
}

void TransposeAny(const arrow::Array& indices, const int32_t* map, int32_t* out) {
  switch (indices.type_id()) {
    case arrow::Type::INT8:
      return Transpose<int8_t>(indices, map, out);
    case arrow::Type::UINT8:
      return Transpose<uint8_t>(indices, map, out);
    case arrow::Type::INT16:
      return Transpose<int16_t>(indices, map, out);
    case arrow::Type::UINT16:
      return Transpose<uint16_t>(indices, map, out);
    case arrow::Type::INT32:
      return Transpose<int32_t>(indices, map, out);
    case arrow::Type::UINT32:
      return Transpose<uint32_t>(indices, map, out);
    case arrow::Type::INT64:
      return Transpose<int64_t>(indices, map, out);
    default:
      return Transpose<uint64_t>(indices, map, out);
  }
}

bool IsIncreasing(const arrow::Buffer& map) {
  const auto* const begin = reinterpret_cast<const int32_t*>(map.data());
  const auto* const end = begin + map.size() / static_cast<int64_t>(sizeof(int32_t));
  return std::adjacent_find(begin, end, std::greater_equal<>()) == end;
}

const arrow::Array& DictionaryOf(const arrow::RecordBatch& batch, int column) {
  return *static_cast<const arrow::DictionaryArray&>(*batch.column(column)).dictionary();
}

}  // namespace

Status DictionaryMerge::Unify(int column, const std::vector<BatchPtr>& samples,
                              const std::vector<size_t>& parts, Column* merged) const {
  const auto& type = static_cast<const arrow::DictionaryType&>(*schema_->field(column)->type());
  ARROW_ASSIGN_OR_RAISE(const auto unifier, arrow::DictionaryUnifier::Make(type.value_type()));
  merged->transpose.resize(samples.size());
  for (const size_t part : parts) {
    ARROW_RETURN_NOT_OK(
        unifier->Unify(DictionaryOf(*samples[part], column), &merged->transpose[part]));
  }
  std::shared_ptr<arrow::DataType> smallest;
  return unifier->GetResult(&smallest, &merged->dictionary);
}

Result<DictionaryMerge::Column> DictionaryMerge::MergeColumn(int column,
                                                             const std::vector<BatchPtr>& samples) {
  const auto type = std::static_pointer_cast<arrow::DictionaryType>(schema_->field(column)->type());
  Column merged{.ordered = type->ordered()};
  bool same = true;
  const arrow::Array* first = nullptr;
  for (const BatchPtr& sample : samples) {
    if (!sample) continue;
    const arrow::Array& dictionary = DictionaryOf(*sample, column);
    if (first == nullptr) {
      first = &dictionary;
      merged.dictionary =
          static_cast<const arrow::DictionaryArray&>(*sample->column(column)).dictionary();
    } else if (first != &dictionary && !first->Equals(dictionary)) {
      same = false;
      break;
    }
  }
  if (first == nullptr) {
    ARROW_ASSIGN_OR_RAISE(merged.dictionary, arrow::MakeEmptyArray(type->value_type()));
  }
  if (same) return merged;
  std::vector<size_t> parts;
  for (size_t part = 0; part < samples.size(); ++part) {
    if (samples[part]) parts.push_back(part);
  }
  if (merged.ordered) {
    // An order stays where one dictionary has the values of all others in their order.
    std::vector<size_t> longest_first = parts;
    std::stable_sort(longest_first.begin(), longest_first.end(), [&](size_t a, size_t b) {
      return DictionaryOf(*samples[a], column).length() >
             DictionaryOf(*samples[b], column).length();
    });
    ARROW_RETURN_NOT_OK(Unify(column, samples, longest_first, &merged));
    const int64_t longest = DictionaryOf(*samples[longest_first.front()], column).length();
    merged.ordered = merged.dictionary->length() == longest &&
                     std::all_of(parts.begin(), parts.end(), [&](size_t part) {
                       return IsIncreasing(*merged.transpose[part]);
                     });
    if (merged.ordered) return merged;
  }
  ARROW_RETURN_NOT_OK(Unify(column, samples, parts, &merged));
  return merged;
}

Result<DictionaryMerge> DictionaryMerge::Make(const std::shared_ptr<arrow::Schema>& schema,
                                              const std::vector<BatchPtr>& samples) {
  DictionaryMerge merge;
  merge.schema_ = schema;
  merge.columns_.resize(static_cast<size_t>(schema->num_fields()));
  for (int i = 0; i < schema->num_fields(); ++i) {
    const auto& field = schema->field(i);
    if (field->type()->id() != arrow::Type::DICTIONARY) continue;
    auto column = merge.MergeColumn(i, samples);
    if (!column.ok()) {
      return Fail(Fault::kUserCode,
                  "cannot merge the parts' dictionaries: " + column.status().message(),
                  {.column = field->name()}, "Return the column's plain values instead.");
    }
    const auto& type = static_cast<const arrow::DictionaryType&>(*field->type());
    const auto index = WideEnough(type.index_type(), column->dictionary->length());
    ARROW_ASSIGN_OR_RAISE(
        merge.schema_, merge.schema_->SetField(i, field->WithType(arrow::dictionary(
                                                      index, type.value_type(), column->ordered))));
    merge.columns_[static_cast<size_t>(i)] = std::make_unique<Column>(*std::move(column));
  }
  return merge;
}

Result<DictionaryMerge> DictionaryMerge::Make(const FrameReader& frame,
                                              const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<BatchPtr> samples(static_cast<size_t>(frame.num_parts()));
  const auto& fields = schema->fields();
  const bool any = std::any_of(fields.begin(), fields.end(), [](const auto& field) {
    return field->type()->id() == arrow::Type::DICTIONARY;
  });
  for (int64_t part = 0; any && part < frame.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame.NumBatches(part));
    if (batches == 0) continue;
    ARROW_ASSIGN_OR_RAISE(const auto batch, frame.ReadBatch(part, 0));
    ARROW_ASSIGN_OR_RAISE(samples[static_cast<size_t>(part)], ConformTo(*batch, schema));
  }
  return Make(schema, samples);
}

Result<ArrayPtr> DictionaryMerge::Apply(size_t part, int column, const ArrayPtr& values) const {
  const auto& merged = columns_[static_cast<size_t>(column)];
  if (!merged) return values;
  const auto& type = schema_->field(column)->type();
  const auto& array = static_cast<const arrow::DictionaryArray&>(*values);
  if (merged->transpose.empty()) {
    return std::make_shared<arrow::DictionaryArray>(type, array.indices(), merged->dictionary);
  }
  const auto& indices = *array.indices();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(indices.length() * sizeof(int32_t)));
  if (const auto& map = merged->transpose[part]; map) {
    TransposeAny(indices, reinterpret_cast<const int32_t*>(map->data()),
                 reinterpret_cast<int32_t*>(buffer->mutable_data()));
  }
  std::shared_ptr<arrow::Buffer> validity;
  if (indices.null_count() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(
                                        arrow::default_memory_pool(), indices.null_bitmap_data(),
                                        indices.offset(), indices.length()));
  }
  const auto moved = std::make_shared<arrow::Int32Array>(indices.length(), std::move(buffer),
                                                         std::move(validity), indices.null_count());
  ARROW_ASSIGN_OR_RAISE(
      const arrow::Datum narrowed,
      arrow::compute::Cast(moved, static_cast<const arrow::DictionaryType&>(*type).index_type()));
  return std::make_shared<arrow::DictionaryArray>(type, narrowed.make_array(), merged->dictionary);
}

Result<BatchPtr> DictionaryMerge::Apply(size_t part, const arrow::RecordBatch& batch) const {
  arrow::ArrayVector columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), Apply(part, i, batch.column(i)));
  }
  return arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns));
}

}  // namespace hayate::frame
