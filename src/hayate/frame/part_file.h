#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// The file of a part without its sidecar: what PartWriter is made of, and what a commit uses for
/// parts that must not count before the manifest names them. One thread.
class PartFile {
 public:
  static Result<std::unique_ptr<PartFile>> Make(const std::string& dir, int64_t number,
                                                std::shared_ptr<arrow::Schema> schema);
  ~PartFile();

  Status Write(const arrow::RecordBatch& batch);
  /// Footer, rename. Returns the part as its sidecar will say it.
  Result<Part> Finish();

 private:
  struct State;
  Status MergeSegments();
  explicit PartFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hayate::frame
