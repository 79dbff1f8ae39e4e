#include "hayate/ingest/csv_task.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "hayate/csv/convert.h"

namespace hayate::ingest {
namespace {

// Rows are converted a column after the other while their text and their fields' ends are in the
// core's own cache.
constexpr size_t kBytesAtOnce = 256 * 1024;
constexpr int64_t kLeastRowsAtOnce = 16;

int64_t RowsAtOnce(const csv::TextBlock& block) {
  const size_t bytes = block.size + block.num_ends * sizeof(uint32_t);
  const size_t pieces = bytes / kBytesAtOnce + 1;
  return std::max(kLeastRowsAtOnce, block.rows / static_cast<int64_t>(pieces));
}

}  // namespace

// The bad cell of the first row that has one, whichever column was converted first.
struct CsvTask::FirstBad {
  std::optional<csv::BadCell> cell;
  size_t column = 0;
};

CsvTask::~CsvTask() {
  if (block_ != nullptr) shard_->pool->Give(std::move(block_));
}

bool CsvTask::IsAllNull(int field) const {
  std::string scratch;
  for (int64_t row = 0; row < block_->rows; ++row) {
    const auto quote = static_cast<char>(block_->quote);
    if (!shard_->rules->nulls.IsNull(csv::CellOf(block_->RawField(row, field), quote, &scratch))) {
      return false;
    }
  }
  return true;
}

csv::ColumnEvidence CsvTask::Classified(size_t column) const {
  return csv::ClassifyColumn(*block_, shard_->number, shard_->fields[column], *shard_->rules);
}

// None for a column that is loose, or whose type is still open.
Result<CsvTask::Converters> CsvTask::MakeConverters() const {
  const CsvTypes& types = *shard_->types;
  Converters converters(types.size());
  for (size_t column = 0; column < types.size(); ++column) {
    const std::shared_ptr<arrow::DataType>& type = types.type(column);
    if (types.is_loose(column) || type == nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(converters[column],
                          csv::ColumnConverter::Make(*block_, shard_->fields[column], type,
                                                     types.is_inferred(column), *shard_->rules));
  }
  return converters;
}

// Null if the column is loose: then no batch of this pass is written.
Result<std::shared_ptr<arrow::Array>> CsvTask::ColumnOf(size_t column,
                                                        csv::ColumnConverter* converter,
                                                        FirstBad* first_bad) {
  CsvTypes& types = *shard_->types;
  const int field = shard_->fields[column];
  const std::shared_ptr<arrow::DataType>& type = types.type(column);
  const std::shared_ptr<arrow::Array> none;
  if (converter == nullptr) {
    if (type == nullptr && !types.is_loose(column) && IsAllNull(field)) {
      return arrow::MakeArrayOfNull(arrow::utf8(), block_->rows);
    }
    types.Loosen(column, Classified(column));
    return none;
  }
  const bool inferred = types.is_inferred(column);
  ARROW_ASSIGN_OR_RAISE(csv::ConvertedColumn converted, converter->Finish());
  const bool may_widen = inferred && !types.is_fixed() && type->id() != arrow::Type::STRING;
  if (converted.bad && may_widen) {
    types.Loosen(column, Classified(column));
    return none;
  }
  if (converted.bad) {
    if (!first_bad->cell || converted.bad->row < first_bad->cell->row) {
      first_bad->cell = std::move(converted.bad);
      first_bad->column = column;
    }
    return none;
  }
  if (types.needs_reason(column) && !types.is_fixed()) types.Note(column, Classified(column));
  if (converted.inexact_row) {
    std::string scratch;
    const csv::Cell cell = csv::CellOf(block_->RawField(*converted.inexact_row, field),
                                       static_cast<char>(block_->quote), &scratch);
    csv::ColumnEvidence evidence;
    evidence.Add(csv::CellClass::kInexactInteger,
                 {.shard = shard_->number,
                  .row = block_->first_row + *converted.inexact_row + 1,
                  .object = *block_->object,
                  .value = std::string(cell.text)});
    types.Note(column, evidence);
  }
  return converted.array;
}

Result<std::shared_ptr<arrow::RecordBatch>> CsvTask::Run() {
  CsvTypes& types = *shard_->types;
  ARROW_ASSIGN_OR_RAISE(const Converters converters, MakeConverters());
  const int64_t step = RowsAtOnce(*block_);
  for (int64_t begin = 0; begin < block_->rows; begin += step) {
    const int64_t end = std::min(begin + step, block_->rows);
    block_->Prefetch(begin, end);
    for (const auto& converter : converters) {
      if (converter != nullptr) ARROW_RETURN_NOT_OK(converter->ConvertTo(end));
    }
  }
  arrow::ArrayVector arrays;
  FirstBad first_bad;
  for (size_t column = 0; column < types.size(); ++column) {
    ARROW_ASSIGN_OR_RAISE(auto array, ColumnOf(column, converters[column].get(), &first_bad));
    arrays.push_back(std::move(array));
  }
  if (first_bad.cell) {
    return csv::BadCellError(*block_, *first_bad.cell, types.name(first_bad.column),
                             *types.type(first_bad.column));
  }
  shard_->meter->AddRows(block_->rows);
  if (types.any_loose()) return std::shared_ptr<arrow::RecordBatch>();
  return arrow::RecordBatch::Make(types.schema(), block_->rows, std::move(arrays));
}

}  // namespace hayate::ingest
