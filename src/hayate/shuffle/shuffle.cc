#include "hayate/shuffle/shuffle.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <map>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/frame/parallel.h"
#include "hayate/frame/writer.h"
#include "hayate/shuffle/gather.h"
#include "hayate/shuffle/key_columns.h"
#include "hayate/shuffle/row_order.h"

namespace hayate::shuffle {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr int64_t kRowsPerPartition = 50'000;
constexpr int64_t kBytesPerPartition = 64LL << 20;
constexpr int64_t kMostPartitions = 4096;
// Batches gathered before they are written, for each thread that gathers.
constexpr int64_t kBatchesPerThread = 4;

// One input part while it is split: its batches, mapped, and their rows by partition.
class PartSplitter {
 public:
  PartSplitter(const ShuffleOptions& options, std::shared_ptr<arrow::Schema> schema,
               int64_t first_row, std::vector<BatchPtr> batches)
      : options_(options),
        schema_(std::move(schema)),
        first_row_(first_row),
        batches_(std::move(batches)) {}

  Status Order(int threads) {
    std::vector<std::unique_ptr<RowOrder>> orders(batches_.size());
    ARROW_RETURN_NOT_OK(frame::ParallelFor(
        static_cast<int64_t>(batches_.size()), threads, [&](int64_t index) -> Status {
          const auto i = static_cast<size_t>(index);
          ARROW_ASSIGN_OR_RAISE(const auto hashes, HashRows(*batches_[i], options_.columns));
          orders[i] = std::make_unique<RowOrder>(hashes, options_.partitions);
          return Status::OK();
        }));
    orders_ = std::move(orders);
    return Status::OK();
  }

  Result<BatchPtr> Partition(int64_t partition) const {
    const std::vector<size_t> used = BatchesWith(partition);
    std::vector<RowsOfChunk> pieces(used.size());
    for (size_t k = 0; k < used.size(); ++k) pieces[k].rows = orders_[used[k]]->RowsOf(partition);
    int64_t rows = 0;
    for (const auto& piece : pieces) rows += static_cast<int64_t>(piece.rows.size());

    arrow::ArrayVector columns;
    const int num_columns = schema_->num_fields() - (options_.with_row_numbers ? 1 : 0);
    for (int column = 0; column < num_columns; ++column) {
      arrow::ArrayVector chunks;
      for (size_t k = 0; k < used.size(); ++k) {
        chunks.push_back(batches_[used[k]]->column(column));
        pieces[k].chunk = chunks.back().get();
      }
      auto gathered = Gather(schema_->field(column)->type(), pieces);
      if (!gathered.ok()) return Named(gathered.status(), column);
      columns.push_back(*std::move(gathered));
    }
    if (options_.with_row_numbers) {
      ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), RowNumbers(used, pieces, rows));
    }
    return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
  }

 private:
  // Of a partition without rows the first batch, for its dictionaries: they must be the part's.
  std::vector<size_t> BatchesWith(int64_t partition) const {
    std::vector<size_t> used;
    for (size_t i = 0; i < batches_.size(); ++i) {
      if (!orders_[i]->RowsOf(partition).empty()) used.push_back(i);
    }
    if (used.empty() && !batches_.empty()) used.push_back(0);
    return used;
  }

  Result<std::shared_ptr<arrow::Array>> RowNumbers(const std::vector<size_t>& used,
                                                   const std::vector<RowsOfChunk>& pieces,
                                                   int64_t rows) const {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                          arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(uint64_t))));
    auto* out = reinterpret_cast<uint64_t*>(buffer->mutable_data());
    int64_t base = first_row_;
    size_t k = 0;
    for (size_t i = 0; i < batches_.size(); ++i) {
      if (k < used.size() && used[k] == i) {
        for (const uint32_t row : pieces[k].rows) *out++ = static_cast<uint64_t>(base + row);
        ++k;
      }
      base += batches_[i]->num_rows();
    }
    return std::make_shared<arrow::UInt64Array>(rows, std::move(buffer));
  }

  Status Named(const Status& status, int column) const {
    const FaultDetail* detail = FaultDetail::Get(status);
    if (detail == nullptr) return status;
    Where where = detail->where();
    where.column = schema_->field(column)->name();
    return Fail(detail->fault(), status.message(), where, detail->remedy());
  }

  const ShuffleOptions& options_;
  const std::shared_ptr<arrow::Schema> schema_;
  const int64_t first_row_;
  const std::vector<BatchPtr> batches_;
  std::vector<std::unique_ptr<RowOrder>> orders_;
};

// Gathers some partitions at a time in parallel and writes them in order.
Status WriteSplit(const PartSplitter& splitter, const ShuffleOptions& options, int threads,
                  frame::PartWriter* writer) {
  const int64_t window = kBatchesPerThread * threads;
  for (int64_t begin = 0; begin < options.partitions; begin += window) {
    std::vector<BatchPtr> batches(
        static_cast<size_t>(std::min(window, options.partitions - begin)));
    ARROW_RETURN_NOT_OK(
        frame::ParallelFor(static_cast<int64_t>(batches.size()), threads, [&](int64_t i) -> Status {
          ARROW_ASSIGN_OR_RAISE(batches[static_cast<size_t>(i)], splitter.Partition(begin + i));
          return Status::OK();
        }));
    for (const BatchPtr& batch : batches) ARROW_RETURN_NOT_OK(writer->Write(*batch));
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::Schema>> OutputSchema(const frame::FrameReader& input,
                                                    const ShuffleOptions& options) {
  if (!input.manifest().is_table()) {
    return Fail(Fault::kUsage, "only a table can be partitioned; this holds values",
                {.object = input.manifest().name}, "Pass it whole: leave it out of split=.");
  }
  const auto& schema = input.manifest().schema;
  ARROW_RETURN_NOT_OK(KeyColumns(*schema, options.columns, input.manifest().name).status());
  if (options.partitions < 1) {
    return Fail(Fault::kUsage, "a shuffle needs at least one partition",
                {.object = input.manifest().name});
  }
  if (!options.with_row_numbers) return schema;
  if (schema->GetFieldIndex(kRowNumberColumn) >= 0) {
    return Fail(Fault::kUsage, "the column's name is hayate's own",
                {.object = input.manifest().name, .column = kRowNumberColumn}, "Rename it.");
  }
  return schema->AddField(schema->num_fields(),
                          arrow::field(kRowNumberColumn, arrow::uint64(), /*nullable=*/false));
}

// All that a part's output comes from: it is kept only for the same.
Json ResumeOf(const frame::Part& part, const ShuffleOptions& options, const arrow::Schema& schema,
              int64_t first_row) {
  return {{"input", part.checksum},
          {"columns", options.columns},
          {"partitions", options.partitions},
          {"hash", kPartitionHash},
          {"schema", HashText(schema.ToString(/*show_metadata=*/true))},
          {"first_row", options.with_row_numbers ? Json(first_row) : Json()}};
}

}  // namespace

int64_t PartitionCount(int64_t rows, int64_t bytes) {
  const auto ceil = [](int64_t value, int64_t unit) { return value / unit + (value % unit != 0); };
  return std::clamp<int64_t>(
      std::max(ceil(rows, kRowsPerPartition), ceil(bytes, kBytesPerPartition)), 1, kMostPartitions);
}

Status ShuffleParts(const frame::FrameReader& input, const ShuffleOptions& options,
                    const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto schema, OutputSchema(input, options));
  ARROW_RETURN_NOT_OK(MakeDirectories(dir));
  ARROW_RETURN_NOT_OK(frame::CheckParts(dir));
  std::map<int64_t, Json> finished;
  ARROW_ASSIGN_OR_RAISE(const auto kept, frame::FinishedParts(dir));
  for (const frame::Part& part : kept) finished[part.number] = part.resume;

  std::vector<int64_t> todo;
  std::vector<int64_t> first_rows;  // of the part in the whole input
  std::vector<Json> resumes;
  int64_t row = 0;
  for (int64_t i = 0; i < input.num_parts(); ++i) {
    const frame::Part& part = input.manifest().parts[static_cast<size_t>(i)];
    Json resume = ResumeOf(part, options, *schema, row);
    const auto found = finished.find(i);
    if (found == finished.end() || found->second != resume) {
      todo.push_back(i);
      first_rows.push_back(row);
      resumes.push_back(std::move(resume));
    }
    row += part.rows;
  }
  const int outer = static_cast<int>(
      std::clamp<int64_t>(static_cast<int64_t>(todo.size()), 1, std::max(1, options.threads)));
  const int inner = std::max(1, options.threads / outer);
  return frame::ParallelFor(static_cast<int64_t>(todo.size()), outer, [&](int64_t index) -> Status {
    const auto i = static_cast<size_t>(index);
    ARROW_ASSIGN_OR_RAISE(auto batches, input.ReadPart(todo[i]));
    PartSplitter splitter(options, schema, first_rows[i], std::move(batches));
    ARROW_RETURN_NOT_OK(splitter.Order(inner));
    ARROW_ASSIGN_OR_RAISE(const auto writer, frame::PartWriter::Make(dir, todo[i], schema));
    ARROW_RETURN_NOT_OK(WriteSplit(splitter, options, inner, writer.get()));
    writer->set_resume(resumes[i]);
    return writer->Finish().status();
  });
}

}  // namespace hayate::shuffle
