#include "hayate/frame/reader.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <mutex>

#include "hayate/frame/part_reader.h"

namespace hayate::frame {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

class FrameReader::Impl {
 public:
  Impl(std::string dir, Manifest manifest)
      : dir_(std::move(dir)), manifest_(std::move(manifest)), parts_(manifest_.parts.size()) {}

  const std::string& dir() const { return dir_; }
  const Manifest& manifest() const { return manifest_; }

  /// Opened at its first use, then kept.
  Result<std::shared_ptr<PartReader>> PartAt(int64_t index) {
    if (!manifest_.is_table()) {
      return Fail(Fault::kUsage, "the frame holds values, not a table", {.object = dir_});
    }
    if (index < 0 || index >= static_cast<int64_t>(parts_.size())) {
      return Fail(
          Fault::kInternal,
          "part " + std::to_string(index) + " of a frame that has " + std::to_string(parts_.size()),
          {.object = dir_});
    }
    const auto i = static_cast<size_t>(index);
    const std::lock_guard lock(mutex_);
    if (!parts_[i]) {
      ARROW_ASSIGN_OR_RAISE(parts_[i], PartReader::Open(dir_, manifest_.parts[i]));
    }
    return parts_[i];
  }

 private:
  const std::string dir_;
  const Manifest manifest_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<PartReader>> parts_;
};

namespace {

// Batches of a frame in order. Holds one part at a time.
class BatchStream : public arrow::RecordBatchReader {
 public:
  explicit BatchStream(FrameReader frame) : frame_(std::move(frame)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return frame_.manifest().schema; }

  Status ReadNext(BatchPtr* out) override {
    *out = nullptr;
    while (part_ < frame_.num_parts()) {
      ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame_.NumBatches(part_));
      if (batch_ < batches) {
        ARROW_ASSIGN_OR_RAISE(*out, frame_.ReadBatch(part_, batch_++));
        return Status::OK();
      }
      ++part_;
      batch_ = 0;
    }
    return Status::OK();
  }

 private:
  FrameReader frame_;
  int64_t part_ = 0;
  int64_t batch_ = 0;
};

}  // namespace

FrameReader::FrameReader(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::shared_ptr<FrameReader>> FrameReader::Open(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(Manifest manifest, ReadManifest(dir));
  for (const Part& part : manifest.parts) ARROW_RETURN_NOT_OK(CheckPart(dir, part));
  if (manifest.needs_verify()) ARROW_RETURN_NOT_OK(VerifyParts(dir, manifest));
  return std::shared_ptr<FrameReader>(
      new FrameReader(std::make_shared<Impl>(dir, std::move(manifest))));
}

FrameReader FrameReader::As(std::shared_ptr<arrow::Schema> schema) const {
  Manifest manifest = impl_->manifest();
  manifest.schema = std::move(schema);
  return FrameReader(std::make_shared<Impl>(dir(), std::move(manifest)));
}

const Manifest& FrameReader::manifest() const { return impl_->manifest(); }
const std::string& FrameReader::dir() const { return impl_->dir(); }
int64_t FrameReader::num_parts() const {
  return static_cast<int64_t>(impl_->manifest().parts.size());
}

Result<std::vector<BatchPtr>> FrameReader::ReadPart(int64_t index) const {
  ARROW_ASSIGN_OR_RAISE(const auto part, impl_->PartAt(index));
  return part->ReadAll(manifest().schema);
}

Result<BatchPtr> FrameReader::ReadBatch(int64_t part, int64_t batch) const {
  ARROW_ASSIGN_OR_RAISE(const auto reader, impl_->PartAt(part));
  return reader->Read(batch, manifest().schema);
}

Result<int64_t> FrameReader::NumBatches(int64_t part) const {
  ARROW_ASSIGN_OR_RAISE(const auto reader, impl_->PartAt(part));
  return reader->num_batches();
}

Result<std::shared_ptr<arrow::Table>> FrameReader::ReadTable() const {
  return ReadRows(0, manifest().rows);
}

Result<std::shared_ptr<arrow::Table>> FrameReader::ReadRows(int64_t start, int64_t stop) const {
  if (!manifest().is_table()) {
    return Fail(Fault::kUsage, "the frame holds values, not a table", {.object = dir()});
  }
  if (start < 0 || stop < start || stop > manifest().rows) {
    return Fail(Fault::kUsage,
                "rows " + std::to_string(start) + " to " + std::to_string(stop) +
                    " of a frame that has " + std::to_string(manifest().rows),
                {.object = dir()});
  }
  std::vector<BatchPtr> batches;
  int64_t row = 0;  // of the frame, at the start of what is looked at
  for (int64_t index = 0; index < num_parts() && row < stop; ++index) {
    const int64_t part_rows = manifest().parts[static_cast<size_t>(index)].rows;
    if (row + part_rows <= start) {
      row += part_rows;
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const int64_t num_batches, NumBatches(index));
    for (int64_t i = 0; i < num_batches && row < stop; ++i) {
      ARROW_ASSIGN_OR_RAISE(const auto batch, ReadBatch(index, i));
      const int64_t from = std::max<int64_t>(start - row, 0);
      const int64_t to = std::min(stop - row, batch->num_rows());
      if (from < to) batches.push_back(batch->Slice(from, to - from));
      row += batch->num_rows();
    }
  }
  return arrow::Table::FromRecordBatches(manifest().schema, batches);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> FrameReader::Stream() const {
  if (!manifest().is_table()) {
    return Fail(Fault::kUsage, "the frame holds values, not a table", {.object = dir()});
  }
  return std::make_shared<BatchStream>(*this);
}

}  // namespace hayate::frame
