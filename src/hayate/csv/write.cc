#include "hayate/csv/write.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <memory>
#include <vector>

#include "hayate/csv/write_field.h"

namespace hayate::csv {
namespace {

// A guess, so that `out` grows a few times a batch and not a few times a row.
constexpr size_t kBytesPerField = 12;

}  // namespace

Status AppendHeader(const arrow::Schema& schema, const WriteOptions& options, std::string* out) {
  if (!options.header) return Status::OK();
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (i > 0) out->push_back(options.delimiter);
    AppendText(schema.field(i)->name(), options.delimiter, out);
  }
  out->push_back('\n');
  return Status::OK();
}

Status AppendRows(const arrow::RecordBatch& batch, const WriteOptions& options, std::string* out) {
  std::vector<std::unique_ptr<FieldWriter>> fields;
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(
        fields.emplace_back(),
        FieldWriter::Make(batch.column(i), batch.column_name(i), options.delimiter));
  }
  out->reserve(out->size() +
               static_cast<size_t>(batch.num_rows()) * fields.size() * kBytesPerField);
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) out->push_back(options.delimiter);
      fields[i]->Append(row, out);
    }
    out->push_back('\n');
  }
  return Status::OK();
}

}  // namespace hayate::csv
