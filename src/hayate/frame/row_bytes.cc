#include "hayate/frame/row_bytes.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

namespace hayate::frame {
namespace {

int64_t MeanBytes(const arrow::Array& values) {
  return arrow::util::TotalBufferSize(values) / std::max<int64_t>(1, values.length());
}

}  // namespace

int64_t RowBytes(const arrow::RecordBatch& batch) {
  int64_t bytes = 0;
  for (const auto& column : batch.columns()) {
    if (column->type_id() == arrow::Type::DICTIONARY) {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(*column);
      bytes += MeanBytes(*coded.indices()) + MeanBytes(*coded.dictionary());
    } else {
      bytes += MeanBytes(*column);
    }
  }
  return std::max<int64_t>(1, bytes);
}

}  // namespace hayate::frame
