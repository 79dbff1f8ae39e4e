#pragma once

#include <nanobind/nanobind.h>

namespace hayate::python {

/// Files of text or Parquet into memory or a frame: read_files, read_files_into,
/// RecordStream, available_cores.
void BindIngest(nanobind::module_& module);

}  // namespace hayate::python
