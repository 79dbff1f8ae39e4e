#include "hayate/frame/part_file.h"

#include <arrow/array.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <filesystem>

#include "hayate/frame/file_sink.h"
#include "hayate/frame/null_slots.h"

namespace hayate::frame {
namespace {

// What Arrow itself reports about a batch is the writer's fault, unless it came out of our sink.
Status Explained(const Status& status, const std::string& path) {
  if (status.ok() || FaultDetail::Get(status) != nullptr) return status;
  return Fail(Fault::kInternal, "cannot write the part: " + status.message(), {.object = path});
}

}  // namespace

struct PartFile::State {
  std::string path;
  Part part;
  std::shared_ptr<FileSink> sink;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;
  std::vector<bool> exact;  // by column
};

PartFile::PartFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartFile::~PartFile() = default;

Result<std::unique_ptr<PartFile>> PartFile::Make(const std::string& dir, int64_t number,
                                                 std::shared_ptr<arrow::Schema> schema) {
  auto state = std::make_unique<State>();
  state->part.number = number;
  state->part.file = PartFileName(number, ".arrow");
  state->part.schema = schema;
  state->exact.assign(static_cast<size_t>(schema->num_fields()), true);
  state->path = (std::filesystem::path(dir) / state->part.file).string();
  ARROW_ASSIGN_OR_RAISE(state->sink, FileSink::Create(state->path, /*with_checksum=*/true));
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  auto writer = arrow::ipc::MakeFileWriter(state->sink, schema, options);
  ARROW_RETURN_NOT_OK(Explained(writer.status(), state->path));
  state->writer = *writer;
  return std::unique_ptr<PartFile>(new PartFile(std::move(state)));
}

Status PartFile::Write(const arrow::RecordBatch& batch) {
  if (!batch.schema()->Equals(*state_->part.schema, /*check_metadata=*/false)) {
    return Fail(Fault::kInternal,
                "a batch has another schema than its part:\n" + batch.schema()->ToString() +
                    "\nbeside\n" + state_->part.schema->ToString(),
                {.object = state_->path});
  }
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  columns.reserve(static_cast<size_t>(batch.num_columns()));
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), WithNullSlots(batch.column_data(i)));
    const auto index = static_cast<size_t>(i);
    state_->exact[index] = state_->exact[index] && ExactAsDouble(*batch.column(i));
  }
  const auto filled =
      arrow::RecordBatch::Make(state_->part.schema, batch.num_rows(), std::move(columns));
  ARROW_RETURN_NOT_OK(Explained(state_->writer->WriteRecordBatch(*filled), state_->path));
  state_->part.rows += batch.num_rows();
  return Status::OK();
}

Result<Part> PartFile::Finish() {
  ARROW_RETURN_NOT_OK(Explained(state_->writer->Close(), state_->path));
  ARROW_RETURN_NOT_OK(state_->sink->Commit());
  Part& part = state_->part;
  part.bytes = state_->sink->bytes();
  part.checksum = state_->sink->Checksum();
  for (size_t i = 0; i < state_->exact.size(); ++i) {
    if (!state_->exact[i]) {
      part.inexact_as_double.push_back(part.schema->field(static_cast<int>(i))->name());
    }
  }
  return part;
}

}  // namespace hayate::frame
