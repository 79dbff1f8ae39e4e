#pragma once

#include <nanobind/nanobind.h>

namespace hayate::python {

/// Files of text or Parquet into memory: read_files, available_cores.
void BindIngest(nanobind::module_& module);

}  // namespace hayate::python
