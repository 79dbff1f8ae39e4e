#include "hayate/frame/group_order.h"

#include <arrow/array.h>
#include <arrow/buffer_builder.h>
#include <arrow/compute/api_vector.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <numeric>

#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/part_file.h"
#include "hayate/frame/part_reader.h"

namespace hayate::frame {
namespace {

constexpr int64_t kRowsPerBatch = 64 * 1024;
constexpr int64_t kRowsPerPart = 64 * kRowsPerBatch;

struct Group {
  int64_t first_row;
  int64_t rows;
  size_t part;
};

Status CheckGroups(const Part& part, const std::string& dir) {
  int64_t rows = 0;
  int64_t last = -1;
  for (const auto& [first_row, count] : part.groups) {
    if (first_row < last || count < 0) {
      return Fail(Fault::kInternal, "the groups of a part are not in order of first appearance",
                  {.object = dir, .partition = part.number});
    }
    last = first_row;
    rows += count;
  }
  if (rows != part.rows) {
    return Fail(Fault::kInternal,
                "the groups of a part have " + std::to_string(rows) + " rows, the part " +
                    std::to_string(part.rows),
                {.object = dir, .partition = part.number});
  }
  return Status::OK();
}

// Stable, so that groups which begin at the same row (of two split inputs) keep the parts' order.
std::vector<Group> InOrder(const std::vector<Part>& parts) {
  std::vector<Group> groups;
  for (size_t i = 0; i < parts.size(); ++i) {
    for (const auto& [first_row, rows] : parts[i].groups) groups.push_back({first_row, rows, i});
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.first_row < b.first_row; });
  return groups;
}

// Takes the rows of the groups one batch at a time. As each part holds its groups in order, the
// rows of a batch are one range of rows per part: the ranges are put end to end, and one Take
// brings them into order.
class Gatherer {
 public:
  Gatherer(std::vector<Group> groups, std::vector<std::shared_ptr<arrow::Table>> tables,
           DictionaryMerge dictionaries)
      : groups_(std::move(groups)),
        tables_(std::move(tables)),
        consumed_(tables_.size(), 0),
        dictionaries_(std::move(dictionaries)) {}

  /// The next rows, at most kRowsPerBatch (a group may go on in the next batch); null at the end.
  Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    std::vector<int64_t> counts(tables_.size(), 0);
    std::vector<Group> runs;
    int64_t total = 0;
    while (total < kRowsPerBatch && next_ < groups_.size()) {
      Group& group = groups_[next_];
      const int64_t rows = std::min(group.rows, kRowsPerBatch - total);
      runs.push_back({group.first_row, rows, group.part});
      counts[group.part] += rows;
      total += rows;
      group.rows -= rows;
      if (group.rows == 0) ++next_;
    }
    if (total == 0) return std::shared_ptr<arrow::RecordBatch>();
    ARROW_ASSIGN_OR_RAISE(const auto ranges, TakeRanges(counts));
    ARROW_ASSIGN_OR_RAISE(const auto order, Order(runs, counts));
    ARROW_ASSIGN_OR_RAISE(
        const arrow::Datum taken,
        arrow::compute::Take(ranges, order, arrow::compute::TakeOptions::NoBoundsCheck()));
    return taken.record_batch();
  }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> TakeRanges(const std::vector<int64_t>& counts) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> pieces;
    for (size_t part = 0; part < tables_.size(); ++part) {
      if (counts[part] == 0) continue;
      const auto range = tables_[part]->Slice(consumed_[part], counts[part]);
      consumed_[part] += counts[part];
      arrow::TableBatchReader batches(*range);
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(batches.ReadNext(&batch));
      while (batch) {
        ARROW_ASSIGN_OR_RAISE(pieces.emplace_back(), dictionaries_.Apply(part, *batch));
        ARROW_RETURN_NOT_OK(batches.ReadNext(&batch));
      }
    }
    ARROW_ASSIGN_OR_RAISE(const auto table,
                          arrow::Table::FromRecordBatches(dictionaries_.schema(), pieces));
    return table->CombineChunksToBatch();
  }

  static Result<std::shared_ptr<arrow::Array>> Order(const std::vector<Group>& runs,
                                                     const std::vector<int64_t>& counts) {
    std::vector<int64_t> next(counts.size(), 0);
    std::exclusive_scan(counts.begin(), counts.end(), next.begin(), int64_t{0});
    arrow::TypedBufferBuilder<int64_t> indices;
    for (const Group& run : runs) {
      for (int64_t i = 0; i < run.rows; ++i) {
        ARROW_RETURN_NOT_OK(indices.Append(next[run.part]++));
      }
    }
    const int64_t length = indices.length();
    ARROW_ASSIGN_OR_RAISE(auto buffer, indices.Finish());
    return std::make_shared<arrow::Int64Array>(length, std::move(buffer));
  }

  std::vector<Group> groups_;
  size_t next_ = 0;
  std::vector<std::shared_ptr<arrow::Table>> tables_;
  std::vector<int64_t> consumed_;
  DictionaryMerge dictionaries_;
};

}  // namespace

Result<std::vector<Part>> WriteInGroupOrder(const std::string& dir, const std::vector<Part>& parts,
                                            const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<std::shared_ptr<arrow::Table>> tables;
  std::vector<std::shared_ptr<arrow::RecordBatch>> samples;
  int64_t number = 0;
  for (const Part& part : parts) {
    ARROW_RETURN_NOT_OK(CheckGroups(part, dir));
    ARROW_ASSIGN_OR_RAISE(const auto reader, PartReader::Open(dir, part));
    ARROW_ASSIGN_OR_RAISE(const auto batches, reader->ReadAll(schema));
    samples.push_back(batches.empty() ? nullptr : batches.front());
    ARROW_ASSIGN_OR_RAISE(tables.emplace_back(), arrow::Table::FromRecordBatches(schema, batches));
    number = std::max(number, part.number + 1);
  }
  ARROW_ASSIGN_OR_RAISE(auto dictionaries, DictionaryMerge::Make(schema, samples));
  const auto merged_schema = dictionaries.schema();
  Gatherer gatherer(InOrder(parts), std::move(tables), std::move(dictionaries));
  std::vector<Part> ordered;
  ARROW_ASSIGN_OR_RAISE(auto batch, gatherer.Next());
  do {
    ARROW_ASSIGN_OR_RAISE(auto file, PartFile::Make(dir, number++, merged_schema));
    for (int64_t rows = 0; batch && rows < kRowsPerPart; rows += kRowsPerBatch) {
      ARROW_RETURN_NOT_OK(file->Write(*batch));
      ARROW_ASSIGN_OR_RAISE(batch, gatherer.Next());
    }
    ARROW_ASSIGN_OR_RAISE(Part part, file->Finish());
    part.number = static_cast<int64_t>(ordered.size());
    ordered.push_back(std::move(part));
  } while (batch);
  return ordered;
}

}  // namespace hayate::frame
