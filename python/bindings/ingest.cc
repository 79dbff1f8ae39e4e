#include "ingest.h"

#include <arrow/table.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow_table.h"
#include "errors.h"
#include "hayate/base/limits.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/source/source.h"
#include "interruptible.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace hayate::python {
namespace {

using Warnings = std::vector<std::string>;

ingest::IngestOptions Options(const std::string& format, const std::string& options_json,
                              int threads, bool allow_empty) {
  ingest::IngestOptions options;
  options.csv =
      Value(csv::ReadOptionsFromJson(Value(ParseJson(options_json, "options")), "options"));
  options.format = format;
  options.threads = threads > 0 ? threads : AvailableCores();
  options.allow_empty = allow_empty;
  return options;
}

/// Every file that `patterns` match, as one table in memory; the warnings beside it.
std::pair<ArrowTable, Warnings> ReadFiles(const std::vector<std::string>& patterns,
                                          const std::string& base, const std::string& format,
                                          const std::string& options_json, int threads,
                                          bool allow_empty) {
  auto options = Options(format, options_json, threads, allow_empty);
  Warnings warnings;
  auto table = RunInterruptible<std::shared_ptr<arrow::Table>>(
      [&](const StopFlag& stop) -> Result<std::shared_ptr<arrow::Table>> {
        options.progress = [&stop](const ingest::IngestProgress&) { return !stop.load(); };
        ARROW_ASSIGN_OR_RAISE(auto objects, source::List(patterns, base));
        return ingest::IngestToTable(objects, options, &warnings);
      });
  return {ArrowTable(Value(std::move(table))), std::move(warnings)};
}

/// The same as a committed frame in the folder `dir`, in bounded memory; returns the warnings.
Warnings ReadFilesInto(const std::string& dir, const std::vector<std::string>& patterns,
                       const std::string& base, const std::string& format,
                       const std::string& options_json, int threads, bool allow_empty) {
  auto options = Options(format, options_json, threads, allow_empty);
  return Value(RunInterruptible<Warnings>([&](const StopFlag& stop) -> Result<Warnings> {
    options.progress = [&stop](const ingest::IngestProgress&) { return !stop.load(); };
    ARROW_ASSIGN_OR_RAISE(const auto objects, source::List(patterns, base));
    ARROW_ASSIGN_OR_RAISE(auto done, ingest::IngestToParts(objects, options, dir));
    ARROW_RETURN_NOT_OK(frame::Commit(dir, {.name = "data"}).status());
    return std::move(done.warnings);
  }));
}

}  // namespace

void BindIngest(nb::module_& module) {
  module.def("read_files", &ReadFiles, "patterns"_a, "base"_a, "format"_a, "options"_a, "threads"_a,
             "allow_empty"_a,
             "Reads the files that paths and globs name (relative to `base`), in parallel and in "
             "order; threads 0 means every core. Returns the rows and the warnings.");
  module.def("read_files_into", &ReadFilesInto, "dir"_a, "patterns"_a, "base"_a, "format"_a,
             "options"_a, "threads"_a, "allow_empty"_a,
             "The same as a frame in the folder `dir`, in bounded memory. Returns the warnings.");
  module.def("available_cores", &AvailableCores,
             "Cores this process may use: affinity and control group count.");
}

}  // namespace hayate::python
