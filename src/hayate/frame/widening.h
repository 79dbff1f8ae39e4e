#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <vector>

#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// What the values of a part's columns rule out among the widenings of unify.h, whose types alone
/// would allow them.
class WideningLimits {
 public:
  explicit WideningLimits(int columns) : columns_(static_cast<size_t>(columns)) {}

  void Add(const arrow::RecordBatch& batch);
  /// Into `inexact_as_double` and `finest_unit`; the part's schema is that of the batches.
  void RecordIn(Part* part) const;

 private:
  struct Column {
    bool exact_as_double = true;
    arrow::TimeUnit::type finest_unit = arrow::TimeUnit::NANO;
  };
  static void AddArray(const arrow::Array& array, Column* column);

  std::vector<Column> columns_;
};

}  // namespace hayate::frame
