#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// One part that is a table, mapped read-only. Any number of threads.
class PartReader {
 public:
  /// Checks length and footer; Fault::kInput names the part.
  static Result<std::shared_ptr<PartReader>> Open(const std::string& dir, const Part& part);
  ~PartReader();

  int64_t num_batches() const;
  /// As it was written, conformed to `schema`.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(
      int64_t batch, const std::shared_ptr<arrow::Schema>& schema) const;
  Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ReadAll(
      const std::shared_ptr<arrow::Schema>& schema) const;

 private:
  struct State;
  explicit PartReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// What opening a frame costs for each part: its length is the manifest's and it ends as an Arrow
/// file does. Nothing is mapped.
Status CheckPart(const std::string& dir, const Part& part);

/// Recomputes the checksum of every part; Fault::kInput names the first damaged one.
Status VerifyParts(const std::string& dir, const Manifest& manifest);

}  // namespace hayate::frame
