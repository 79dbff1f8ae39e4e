#pragma once

#include <arrow/type_fwd.h>
#include <nanobind/nanobind.h>

#include <memory>

#include "hayate/base/status.h"

namespace hayate::python {

/// A table on its way to Python: anything that reads the Arrow C stream interface takes it, without
/// a copy, as often as it likes.
class ArrowTable {
 public:
  explicit ArrowTable(std::shared_ptr<arrow::Table> table) : table_(std::move(table)) {}

  /// A capsule `arrow_array_stream` over the rows.
  nanobind::capsule Stream() const;
  int64_t num_rows() const;

 private:
  std::shared_ptr<arrow::Table> table_;
};

/// A capsule `arrow_array_stream` over the rows of a reader. Needs the GIL.
nanobind::capsule ExportStream(std::shared_ptr<arrow::RecordBatchReader> reader);

/// The rows of any object with `__arrow_c_stream__`, or the TypeError of one without it. The reader
/// may be used without the GIL. Needs the GIL.
std::shared_ptr<arrow::RecordBatchReader> ImportStream(nanobind::handle object);

void BindArrowTable(nanobind::module_& module);

}  // namespace hayate::python
