#include "hayate/frame/conform.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include "hayate/frame/null_slots.h"
#include "hayate/frame/unify.h"

namespace hayate::frame {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

Result<ArrayPtr> CastDense(const ArrayPtr& column, const TypePtr& type) {
  if (column->type()->Equals(*type)) return column;
  auto options = arrow::compute::CastOptions::Safe(type);
  // Arrow calls every integer beyond 2^53 inexact; the commit has looked at each (unify.h).
  options.allow_float_truncate = true;
  ARROW_ASSIGN_OR_RAISE(const arrow::Datum cast, arrow::compute::Cast(column, options));
  return cast.make_array();
}

Result<ArrayPtr> CastDictionary(const arrow::DictionaryArray& column, const TypePtr& type) {
  if (type->id() != arrow::Type::DICTIONARY) {
    ARROW_ASSIGN_OR_RAISE(const auto values, CastDense(column.dictionary(), type));
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum taken,
                          arrow::compute::Take(values, column.indices(),
                                               arrow::compute::TakeOptions::NoBoundsCheck()));
    return taken.make_array();
  }
  const auto& target = static_cast<const arrow::DictionaryType&>(*type);
  ARROW_ASSIGN_OR_RAISE(const auto values, CastDense(column.dictionary(), target.value_type()));
  ARROW_ASSIGN_OR_RAISE(const auto indices, CastDense(column.indices(), target.index_type()));
  return std::make_shared<arrow::DictionaryArray>(type, indices, values);
}

Result<ArrayPtr> Convert(const ArrayPtr& column, const TypePtr& type) {
  if (column->type_id() == arrow::Type::NA) return arrow::MakeArrayOfNull(type, column->length());
  // Without rows, too: all batches of a part keep one dictionary.
  if (column->type_id() == arrow::Type::DICTIONARY) {
    return CastDictionary(static_cast<const arrow::DictionaryArray&>(*column), type);
  }
  if (column->length() == 0) return arrow::MakeEmptyArray(type);
  return CastDense(column, type);
}

}  // namespace

Result<ArrayPtr> ConformColumn(const ArrayPtr& column, const arrow::Field& field) {
  if (column->type()->Equals(*field.type())) return column;
  const auto converted = Convert(column, field.type());
  if (!converted.ok()) {
    return Fail(Fault::kUserCode,
                "cannot make " + field.type()->ToString() + " of " + column->type()->ToString() +
                    ": " + converted.status().message(),
                {.column = field.name()},
                "Return the same type from every partition, for instance with astype().");
  }
  ARROW_ASSIGN_OR_RAISE(const auto filled, WithNullSlots((*converted)->data()));
  return arrow::MakeArray(filled);
}

Result<std::shared_ptr<arrow::RecordBatch>> ConformTo(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema) {
  if (batch.schema()->Equals(*schema, /*check_metadata=*/false)) {
    return arrow::RecordBatch::Make(schema, batch.num_rows(), batch.columns());
  }
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    ArrayPtr column = batch.GetColumnByName(field->name());
    if (!column) column = std::make_shared<arrow::NullArray>(batch.num_rows());
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), ConformColumn(column, *field));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

}  // namespace hayate::frame
