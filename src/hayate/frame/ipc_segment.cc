#include "hayate/frame/ipc_segment.h"

#include <arrow/array.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "hayate/frame/mapped_file.h"

namespace hayate::frame {
namespace {

// What Arrow itself reports about a batch is the writer's fault, unless it came out of our sink.
Status Explained(const Status& status, const std::string& path) {
  if (status.ok() || FaultDetail::Get(status) != nullptr) return status;
  return Fail(Fault::kInternal, "cannot write the part: " + status.message(), {.object = path});
}

std::shared_ptr<arrow::Array> DictionaryOf(const arrow::Array& column) {
  if (column.type_id() != arrow::Type::DICTIONARY) return nullptr;
  return static_cast<const arrow::DictionaryArray&>(column).dictionary();
}

}  // namespace

IpcSegment::~IpcSegment() = default;

Result<std::unique_ptr<IpcSegment>> IpcSegment::Make(const std::string& path,
                                                     const std::shared_ptr<arrow::Schema>& schema) {
  std::unique_ptr<IpcSegment> segment(new IpcSegment());
  segment->path_ = path;
  ARROW_ASSIGN_OR_RAISE(segment->sink_, FileSink::Create(path, /*with_checksum=*/true));
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  auto writer = arrow::ipc::MakeFileWriter(segment->sink_, schema, options);
  ARROW_RETURN_NOT_OK(Explained(writer.status(), path));
  segment->writer_ = *std::move(writer);
  segment->dictionaries_.resize(static_cast<size_t>(schema->num_fields()));
  return segment;
}

bool IpcSegment::Takes(const arrow::RecordBatch& batch) const {
  if (empty_) return true;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& before = dictionaries_[static_cast<size_t>(i)];
    if (!before) continue;
    const auto dictionary = DictionaryOf(*batch.column(i));
    if (dictionary != before && dictionary->data() != before->data() &&
        !dictionary->Equals(before)) {
      return false;
    }
  }
  return true;
}

Status IpcSegment::Write(const arrow::RecordBatch& batch) {
  for (int i = 0; empty_ && i < batch.num_columns(); ++i) {
    dictionaries_[static_cast<size_t>(i)] = DictionaryOf(*batch.column(i));
  }
  empty_ = false;
  return Explained(writer_->WriteRecordBatch(batch), path_);
}

Status IpcSegment::Close() {
  ARROW_RETURN_NOT_OK(Explained(writer_->Close(), path_));
  return sink_->Flush();
}

Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> IpcSegment::Read() const {
  ARROW_ASSIGN_OR_RAISE(auto bytes, MapDescriptor(sink_->fd(), path_));
  ARROW_ASSIGN_OR_RAISE(const auto reader,
                        arrow::ipc::RecordBatchFileReader::Open(
                            std::make_shared<arrow::io::BufferReader>(std::move(bytes))));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(batches.emplace_back(), reader->ReadRecordBatch(i));
  }
  return batches;
}

}  // namespace hayate::frame
