#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// Mapped, read-only view of a committed frame. Opening checks each part's footer and length, and
/// its checksum where the machine went down before the frame was on the disk (Fault::kInput names
/// the part). Any number of threads may read at once. Batches stay valid after
/// the reader is gone (they own the mapping).
class FrameReader {
 public:
  static Result<std::shared_ptr<FrameReader>> Open(const std::string& dir);

  const Manifest& manifest() const;
  const std::string& dir() const;
  int64_t num_parts() const;

  /// The same rows conformed to another schema: fewer columns, another order, wider types.
  FrameReader As(std::shared_ptr<arrow::Schema> schema) const;

  /// Batches of one part as they were written, conformed to the manifest's schema.
  Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ReadPart(int64_t index) const;
  /// One batch of a part: in a shuffled frame, batch p of every part is partition p.
  Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch(int64_t part, int64_t batch) const;
  Result<int64_t> NumBatches(int64_t part) const;

  /// All rows, by part; zero-copy (chunked).
  Result<std::shared_ptr<arrow::Table>> ReadTable() const;
  /// Rows [start, stop) in frame order; zero-copy slices.
  Result<std::shared_ptr<arrow::Table>> ReadRows(int64_t start, int64_t stop) const;
  /// The same as a stream of batches, parts opened as they are reached.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Stream() const;

 private:
  class Impl;
  explicit FrameReader(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// Recomputes the checksum of every part. Fault::kInput names the first damaged one.
Status Verify(const std::string& dir);

/// Copies a frame of several parts into one file `whole.arrow` of a single record batch beside the
/// parts (columns concatenated in parallel by `threads`), so that every consumer maps it without a
/// copy; strings become large_string. Nothing is done if it is there or the frame has one batch.
/// Returns the path to map. Safe when several processes do it at once (atomic rename).
Result<std::string> Consolidate(const std::string& dir, int threads);

/// The path of `whole.arrow`, if it is there and can be trusted: it is never synced, so after a
/// power cut one of an earlier boot may hold anything. Empty if not.
std::string FreshWhole(const std::string& dir);

}  // namespace hayate::frame
