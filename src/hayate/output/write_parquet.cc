#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <algorithm>

#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/row_bytes.h"
#include "hayate/output/writers.h"

namespace hayate::output {
namespace {

// A row group is encoded in memory: these bound it, and readers split their work by it.
constexpr int64_t kMostGroupRows = 512 * 1024;
constexpr int64_t kMostGroupBytes = 128 * 1024 * 1024;  // of values, before they are encoded

// Writes batches, and begins a row group when the last one is full.
class GroupWriter {
 public:
  explicit GroupWriter(parquet::arrow::FileWriter* file) : file_(file) {}

  Status Write(const arrow::RecordBatch& batch) {
    const int64_t row_bytes = frame::RowBytes(batch);
    for (int64_t row = 0; row < batch.num_rows();) {
      if (bytes_ > 0 && bytes_ + row_bytes > kMostGroupBytes) {
        ARROW_RETURN_NOT_OK(file_->NewBufferedRowGroup());
        bytes_ = 0;
      }
      const int64_t room = std::max<int64_t>(1, (kMostGroupBytes - bytes_) / row_bytes);
      const auto slice = batch.Slice(row, room);
      ARROW_RETURN_NOT_OK(file_->WriteRecordBatch(*slice));
      row += slice->num_rows();
      bytes_ += slice->num_rows() * row_bytes;
    }
    return Status::OK();
  }

 private:
  parquet::arrow::FileWriter* const file_;
  int64_t bytes_ = 0;  // of the group that is open
};

}  // namespace

Status WriteParquet(const frame::FrameReader& frame, int threads,
                    const std::shared_ptr<arrow::io::OutputStream>& sink) {
  ARROW_ASSIGN_OR_RAISE(const auto pool, arrow::internal::ThreadPool::Make(std::max(1, threads)));
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(parquet::Compression::SNAPPY)
                              ->max_row_group_length(kMostGroupRows)
                              ->build();
  // The Arrow schema goes into the file, so that dictionaries, time zones and large types come
  // back.
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder()
                                    .set_use_threads(threads > 1)
                                    ->set_executor(pool.get())
                                    ->store_schema()
                                    ->build();
  for (const auto& field : frame.manifest().schema->fields()) {
    parquet::schema::NodePtr node;
    const Status status = parquet::arrow::FieldToNode(field, *properties, *arrow_properties, &node);
    if (status.ok()) continue;
    return Fail(Fault::kUsage, "Parquet has no type for " + field->type()->ToString(),
                {.column = field->name()},
                "Leave the column out, change its type, or choose another format.");
  }
  ARROW_ASSIGN_OR_RAISE(const auto dictionaries,
                        frame::DictionaryMerge::Make(frame, frame.manifest().schema));
  ARROW_ASSIGN_OR_RAISE(const auto writer, parquet::arrow::FileWriter::Open(
                                               *dictionaries.schema(), arrow::default_memory_pool(),
                                               sink, properties, arrow_properties));
  GroupWriter groups(writer.get());
  for (int64_t part = 0; part < frame.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame.NumBatches(part));
    for (int64_t i = 0; i < batches; ++i) {
      ARROW_ASSIGN_OR_RAISE(auto batch, frame.ReadBatch(part, i));
      if (batch->num_rows() == 0) continue;
      ARROW_ASSIGN_OR_RAISE(batch, dictionaries.Apply(static_cast<size_t>(part), *batch));
      ARROW_RETURN_NOT_OK(groups.Write(*batch));
    }
  }
  return writer->Close();
}

}  // namespace hayate::output
