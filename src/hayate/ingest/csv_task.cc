#include "hayate/ingest/csv_task.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "hayate/csv/convert.h"
#include "hayate/csv/records.h"

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

CsvTask::~CsvTask() {
  if (block_ != nullptr) shard_->pool->Give(std::move(block_));
}

bool CsvTask::IsAllNull(int field) const {
  std::string scratch;
  for (int64_t row = 0; row < block_->rows; ++row) {
    const csv::Cell cell = csv::CellOf(block_->RawField(row, field), block_->dialect, &scratch);
    if (!shard_->rules->nulls.IsNull(cell)) return false;
  }
  return true;
}

csv::ColumnEvidence CsvTask::Classified(size_t column) const {
  return csv::ClassifyColumn(*block_, shard_->number, shard_->fields[column], *shard_->rules);
}

// Whether a value that does not fit makes the column's type wider instead of being an error.
bool CsvTask::MayWiden(size_t column) const {
  const CsvTypes& types = *shard_->types;
  return types.is_inferred(column) && !types.is_fixed() &&
         types.type(column)->id() != arrow::Type::STRING;
}

// None for a column that is loose, or whose type is still open.
Result<CsvTask::Converters> CsvTask::MakeConverters() const {
  const CsvTypes& types = *shard_->types;
  Converters converters(types.size());
  int64_t slab_bytes = 0;
  for (size_t column = 0; column < types.size(); ++column) {
    const std::shared_ptr<arrow::DataType>& type = types.type(column);
    if (types.is_loose(column) || type == nullptr) continue;
    const csv::ConvertOptions options = {
        .inferred = types.is_inferred(column),
        .past_bad_cells = shard_->on_error != csv::OnError::kFail && !MayWiden(column)};
    ARROW_ASSIGN_OR_RAISE(
        converters[column],
        csv::ColumnConverter::Make(*block_, shard_->fields[column], type, options, *shard_->rules));
    slab_bytes += converters[column]->SlabBytes();
  }
  ARROW_ASSIGN_OR_RAISE(csv::Slab slab, shard_->slabs->Take(slab_bytes));
  for (const auto& converter : converters) {
    if (converter != nullptr) ARROW_RETURN_NOT_OK(converter->Begin(&slab));
  }
  return converters;
}

// Null if the column is loose: then no batch of this pass is written.
Result<std::shared_ptr<arrow::Array>> CsvTask::ColumnOf(size_t column,
                                                        csv::ColumnConverter* converter,
                                                        BadCells* bad) {
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
  ARROW_ASSIGN_OR_RAISE(csv::ConvertedColumn converted, converter->Finish());
  if (!converted.bad.empty() && MayWiden(column)) {
    types.Loosen(column, Classified(column));
    return none;
  }
  for (csv::BadCell& cell : converted.bad) bad->emplace_back(std::move(cell), column);
  if (converted.array == nullptr) return none;
  if (types.needs_reason(column) && !types.is_fixed()) types.Note(column, Classified(column));
  if (converted.inexact_row) {
    std::string scratch;
    const csv::Cell cell =
        csv::CellOf(block_->RawField(*converted.inexact_row, field), block_->dialect, &scratch);
    csv::ColumnEvidence evidence;
    evidence.Add(csv::CellClass::kInexactInteger, {.shard = shard_->number,
                                                   .row = block_->RowNumber(*converted.inexact_row),
                                                   .object = *block_->object,
                                                   .value = std::string(cell.text)});
    types.Note(column, evidence);
  }
  return converted.array;
}

Result<arrow::ArrayVector> CsvTask::Convert(BadCells* bad) {
  ARROW_ASSIGN_OR_RAISE(const Converters converters, MakeConverters());
  const int64_t step = RowsAtOnce(*block_);
  const size_t columns = converters.size();
  block_->Prefetch(0, std::min(step, block_->rows), 0, 1);
  for (int64_t begin = 0; begin < block_->rows; begin += step) {
    const int64_t end = std::min(begin + step, block_->rows);
    const int64_t next_end = std::min(end + step, block_->rows);
    for (size_t column = 0; column < columns; ++column) {
      if (end < next_end) block_->Prefetch(end, next_end, column, columns);
      if (converters[column] == nullptr) continue;
      ARROW_RETURN_NOT_OK(converters[column]->ConvertTo(end));
    }
  }
  arrow::ArrayVector arrays;
  for (size_t column = 0; column < converters.size(); ++column) {
    ARROW_ASSIGN_OR_RAISE(auto array, ColumnOf(column, converters[column].get(), bad));
    arrays.push_back(std::move(array));
  }
  // By row, whichever column was converted first.
  std::stable_sort(bad->begin(), bad->end(),
                   [](const auto& a, const auto& b) { return a.first.row < b.first.row; });
  return arrays;
}

void CsvTask::NoteNulls(const BadCells& bad) const {
  for (const auto& [cell, column] : bad) {
    shard_->rejected->AddValue(shard_->number, *block_->object, shard_->types->name(column),
                               block_->RowNumber(cell.row),
                               csv::WhatIsWrong(cell, *shard_->types->type(column)));
  }
}

// One reason a row is enough: that of its first column.
void CsvTask::TakeOutRowsOf(BadCells bad) {
  bad.erase(std::unique(bad.begin(), bad.end(),
                        [](const auto& a, const auto& b) { return a.first.row == b.first.row; }),
            bad.end());
  std::vector<int64_t> rows;
  for (const auto& [cell, column] : bad) rows.push_back(cell.row);
  std::vector<csv::BadRow> taken = csv::TakeOutRows(block_.get(), rows);
  for (size_t i = 0; i < bad.size(); ++i) {
    const auto& [cell, column] = bad[i];
    taken[i].column = shard_->types->name(column);
    taken[i].reason = csv::WhatIsWrong(cell, *shard_->types->type(column));
  }
  std::vector<csv::BadRow> all;
  std::merge(block_->bad_rows.begin(), block_->bad_rows.end(), taken.begin(), taken.end(),
             std::back_inserter(all),
             [](const csv::BadRow& a, const csv::BadRow& b) { return a.row < b.row; });
  block_->bad_rows = std::move(all);
}

Result<Batches> CsvTask::ToBatches(arrow::ArrayVector arrays) const {
  const CsvTypes& types = *shard_->types;
  if (types.any_loose()) return Batches();
  Batches batches;
  if (block_->rows > 0) {
    batches.rows = arrow::RecordBatch::Make(types.schema(), block_->rows, std::move(arrays));
  }
  for (const csv::BadRow& row : block_->bad_rows) {
    shard_->rejected->AddRow(shard_->number, *block_->object, row);
  }
  if (shard_->on_error == csv::OnError::kQuarantine && !block_->bad_rows.empty()) {
    ARROW_ASSIGN_OR_RAISE(batches.put_aside, QuarantineBatch(*block_->object, block_->bad_rows));
  }
  return batches;
}

Result<Batches> CsvTask::Run() {
  BadCells bad;
  ARROW_ASSIGN_OR_RAISE(arrow::ArrayVector arrays, Convert(&bad));
  if (!bad.empty()) {
    switch (shard_->on_error) {
      case csv::OnError::kFail: {
        const auto& [cell, column] = bad.front();
        return csv::BadCellError(*block_, cell, shard_->types->name(column),
                                 *shard_->types->type(column));
      }
      case csv::OnError::kNull:
        NoteNulls(bad);
        break;
      case csv::OnError::kQuarantine:
        TakeOutRowsOf(std::exchange(bad, {}));
        ARROW_ASSIGN_OR_RAISE(arrays, Convert(&bad));
        break;
    }
  }
  shard_->meter->AddRows(block_->rows);
  return ToBatches(std::move(arrays));
}

}  // namespace hayate::ingest
