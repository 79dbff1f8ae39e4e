#include "hayate/output/output.h"

#include <nanobind/stl/string.h>

#include <string>

#include "errors.h"
#include "hayate/base/limits.h"
#include "output.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace hayate::python {
namespace {

int64_t WriteFrame(const std::string& dir, const std::string& path, const std::string& format,
                   int threads) {
  output::OutputOptions options;
  options.format = format;
  options.threads = threads > 0 ? threads : AvailableCores();
  auto written = WithoutGil([&]() -> Result<output::OutputResult> {
    ARROW_ASSIGN_OR_RAISE(auto reader, frame::FrameReader::Open(dir));
    return output::WriteFrame(*reader, path, options);
  });
  return Value(std::move(written)).rows;
}

}  // namespace

void BindOutput(nb::module_& module) {
  module.def("write_frame", &WriteFrame, "dir"_a, "path"_a, "format"_a = "", "threads"_a = 0,
             "Writes a frame as one file (.arrow, .parquet, .csv, .csv.gz); returns its rows.");
  module.def(
      "format_of_path", [](const std::string& path) { return Value(output::FormatOfPath(path)); },
      "path"_a, "The format that a path's extension means.");
}

}  // namespace hayate::python
