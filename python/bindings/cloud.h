#pragma once

#include <nanobind/nanobind.h>

namespace hayate::python {

/// Objects in buckets: CloudStorage, ingest_export.
void BindCloud(nanobind::module_& module);

}  // namespace hayate::python
