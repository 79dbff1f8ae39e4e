#include "hayate/frame/group_order.h"

#include <arrow/array.h>
#include <arrow/buffer_builder.h>
#include <arrow/compute/api_vector.h>
#include <arrow/datum.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <numeric>

#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/part_file.h"
#include "hayate/frame/part_reader.h"
#include "hayate/frame/row_bytes.h"

namespace hayate::frame {
namespace {

constexpr int64_t kMostBatchRows = 64 * 1024;
constexpr int64_t kMostBatchBytes = 32 * 1024 * 1024;
constexpr int kBatchesPerPart = 64;

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

// A part, to be read in order.
struct Rows {
  std::shared_ptr<arrow::Table> table;
  int64_t row_bytes;
  int64_t consumed = 0;
};

// Takes the rows of the groups one batch at a time. As each part holds its groups in order, the
// rows of a batch are one range of rows per part: the ranges are put end to end, and one Take
// brings them into order.
class Gatherer {
 public:
  Gatherer(std::vector<Group> groups, std::vector<Rows> parts, DictionaryMerge dictionaries)
      : groups_(std::move(groups)),
        parts_(std::move(parts)),
        dictionaries_(std::move(dictionaries)) {}

  /// The next rows, as many as a batch may have (a group may go on in the next batch); null at the
  /// end.
  Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    std::vector<int64_t> counts(parts_.size(), 0);
    std::vector<Group> runs;
    int64_t total = 0;
    int64_t bytes = 0;
    while (total < kMostBatchRows && bytes < kMostBatchBytes && next_ < groups_.size()) {
      Group& group = groups_[next_];
      const int64_t row_bytes = parts_[group.part].row_bytes;
      const int64_t room = std::max<int64_t>(1, (kMostBatchBytes - bytes) / row_bytes);
      const int64_t rows = std::min({group.rows, kMostBatchRows - total, room});
      bytes += rows * row_bytes;
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
    for (size_t part = 0; part < parts_.size(); ++part) {
      if (counts[part] == 0) continue;
      const auto range = parts_[part].table->Slice(parts_[part].consumed, counts[part]);
      parts_[part].consumed += counts[part];
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
  std::vector<Rows> parts_;
  DictionaryMerge dictionaries_;
};

}  // namespace

Result<std::vector<Part>> WriteInGroupOrder(const std::string& dir, const std::vector<Part>& parts,
                                            const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<Rows> rows;
  std::vector<std::shared_ptr<arrow::RecordBatch>> samples;
  int64_t number = 0;
  for (const Part& part : parts) {
    ARROW_RETURN_NOT_OK(CheckGroups(part, dir));
    ARROW_ASSIGN_OR_RAISE(const auto reader, PartReader::Open(dir, part));
    ARROW_ASSIGN_OR_RAISE(const auto batches, reader->ReadAll(schema));
    samples.push_back(batches.empty() ? nullptr : batches.front());
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(schema, batches));
    int64_t row_bytes = 1;
    for (const auto& batch : batches) row_bytes = std::max(row_bytes, RowBytes(*batch));
    rows.push_back({.table = std::move(table), .row_bytes = row_bytes});
    number = std::max(number, part.number + 1);
  }
  ARROW_ASSIGN_OR_RAISE(auto dictionaries, DictionaryMerge::Make(schema, samples));
  const auto merged_schema = dictionaries.schema();
  Gatherer gatherer(InOrder(parts), std::move(rows), std::move(dictionaries));
  std::vector<Part> ordered;
  ARROW_ASSIGN_OR_RAISE(auto batch, gatherer.Next());
  do {
    ARROW_ASSIGN_OR_RAISE(auto file, PartFile::Make(dir, number++, merged_schema));
    for (int i = 0; batch && i < kBatchesPerPart; ++i) {
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
