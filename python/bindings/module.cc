#include <nanobind/nanobind.h>

#include "arrow_table.h"
#include "cloud.h"
#include "frame.h"
#include "ingest.h"
#include "output.h"

// Python's door into the engine. Tables cross by the Arrow C stream only, everything else as text,
// numbers and JSON; errors are raised as the classes of hayate.errors (errors.cc).
NB_MODULE(_core, module) {
  module.doc() = "The engine of hayate.";
  hayate::python::BindArrowTable(module);
  hayate::python::BindCloud(module);
  hayate::python::BindFrame(module);
  hayate::python::BindIngest(module);
  hayate::python::BindOutput(module);
}
