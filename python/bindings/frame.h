#pragma once

#include <nanobind/nanobind.h>

namespace hayate::python {

/// Frames on disk: FrameReader, write_part, adopt_part, finished_parts, commit, read_manifest,
/// consolidate, verify.
void BindFrame(nanobind::module_& module);

}  // namespace hayate::python
