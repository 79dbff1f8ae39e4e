#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "hayate/frame/mapped_file.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

Status Explained(const Status& status, const std::string& path) {
  if (status.ok() || FaultDetail::Get(status) != nullptr) return status;
  return Fail(Fault::kInput, "not a whole Arrow IPC file: " + status.message(), {.object = path},
              "Fetch or make the file again; a file of Arrow's stream format is not read.");
}

}  // namespace

Result<Part> ImportPart(const std::string& dir, int64_t number, const std::string& arrow_file) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, MapFile(arrow_file));
  const auto file = std::make_shared<arrow::io::BufferReader>(std::move(bytes));
  const auto reader = arrow::ipc::RecordBatchFileReader::Open(file);
  ARROW_RETURN_NOT_OK(Explained(reader.status(), arrow_file));
  ARROW_ASSIGN_OR_RAISE(const auto writer, PartWriter::Make(dir, number, (*reader)->schema()));
  for (int i = 0; i < (*reader)->num_record_batches(); ++i) {
    const auto batch = (*reader)->ReadRecordBatch(i);
    ARROW_RETURN_NOT_OK(Explained(batch.status(), arrow_file));
    ARROW_RETURN_NOT_OK(Explained((*batch)->ValidateFull(), arrow_file));
    ARROW_RETURN_NOT_OK(writer->Write(**batch));
  }
  return writer->Finish();
}

}  // namespace hayate::frame
