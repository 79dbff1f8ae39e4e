#pragma once

#include <nanobind/nanobind.h>

namespace hayate::python {

/// Frames as files for others: write_frame, format_of_path.
void BindOutput(nanobind::module_& module);

}  // namespace hayate::python
