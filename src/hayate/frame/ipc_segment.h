#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/file_sink.h"

namespace arrow::ipc {
class RecordBatchWriter;
}

namespace hayate::frame {

/// An Arrow IPC file that is being written: batches whose dictionaries are all the same, as the
/// file format wants it. Without Commit nothing of it stays. One thread.
class IpcSegment {
 public:
  static Result<std::unique_ptr<IpcSegment>> Make(const std::string& path,
                                                  const std::shared_ptr<arrow::Schema>& schema);
  ~IpcSegment();

  /// Whether the batch's dictionaries are those of the batches before it.
  bool Takes(const arrow::RecordBatch& batch) const;
  /// Only for what it Takes.
  Status Write(const arrow::RecordBatch& batch);
  /// Footer. Nothing can be written after it.
  Status Close();

  /// After Close: the batches, mapped.
  Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> Read() const;
  /// After Close: makes it visible under its path.
  Status Commit() { return sink_->Commit(); }
  int64_t bytes() const { return sink_->bytes(); }
  std::string Checksum() const { return sink_->Checksum(); }

 private:
  IpcSegment() = default;

  std::string path_;
  std::shared_ptr<FileSink> sink_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  std::vector<std::shared_ptr<arrow::Array>> dictionaries_;  // by column; null where there is none
  bool empty_ = true;
};

}  // namespace hayate::frame
