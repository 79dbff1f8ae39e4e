#include "ingest.h"

#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrow_table.h"
#include "errors.h"
#include "hayate/base/limits.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/ingest/record_stream.h"
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

/// What the threads of a read last said of how far they are, handed on to Python by its own.
class ProgressCell {
 public:
  /// From any thread.
  void Set(const ingest::IngestProgress& progress) {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress_ = progress;
  }

  /// Needs the GIL.
  void Tell(const nb::object& show) {
    if (show.is_none()) return;
    ingest::IngestProgress at;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      at = progress_;
    }
    show(at.rows, at.bytes_read, at.bytes_total, at.shards_done, at.shards_total);
  }

 private:
  std::mutex mutex_;
  ingest::IngestProgress progress_;
};

// Runs `read(options)`, which ends early where Python wants that.
template <typename T, typename Read>
T RunRead(ingest::IngestOptions options, const nb::object& show, Read read) {
  ProgressCell cell;
  return Value(RunInterruptible<T>(
      [&](const StopFlag& stop) -> Result<T> {
        options.progress = [&](const ingest::IngestProgress& progress) {
          cell.Set(progress);
          return !stop.load();
        };
        return read(options);
      },
      [&] { cell.Tell(show); }));
}

/// Every file that `patterns` match, as one table in memory; beside it the rows that were put
/// aside, if that is wanted, and the warnings.
std::tuple<ArrowTable, std::optional<ArrowTable>, Warnings> ReadFiles(
    const std::vector<std::string>& patterns, const std::string& base, const std::string& format,
    const std::string& options_json, int threads, bool allow_empty, const nb::object& show) {
  auto read = RunRead<ingest::IngestedTable>(
      Options(format, options_json, threads, allow_empty), show,
      [&](const ingest::IngestOptions& options) -> Result<ingest::IngestedTable> {
        ARROW_ASSIGN_OR_RAISE(auto objects, source::List(patterns, base));
        return ingest::IngestToTable(objects, options);
      });
  std::optional<ArrowTable> put_aside;
  if (read.put_aside != nullptr) put_aside.emplace(std::move(read.put_aside));
  return {ArrowTable(std::move(read.rows)), std::move(put_aside), std::move(read.warnings)};
}

/// The same as a committed frame in the folder `dir`, in bounded memory; returns the warnings. The
/// frame is for this process: nothing waits for the disk.
Warnings ReadFilesInto(const std::string& dir, const std::vector<std::string>& patterns,
                       const std::string& base, const std::string& format,
                       const std::string& options_json, int threads, bool allow_empty,
                       const nb::object& show) {
  constexpr bool kDurable = false;
  return RunRead<Warnings>(
      Options(format, options_json, threads, allow_empty), show,
      [&](const ingest::IngestOptions& options) -> Result<Warnings> {
        ARROW_ASSIGN_OR_RAISE(const auto objects, source::List(patterns, base));
        ARROW_ASSIGN_OR_RAISE(auto done, ingest::IngestToParts(objects, options, dir));
        ARROW_RETURN_NOT_OK(ingest::CommitQuarantine(dir, /*key=*/"", kDurable).status());
        ARROW_RETURN_NOT_OK(frame::Commit(dir, {.name = "data", .durable = kDurable}).status());
        return std::move(done.warnings);
      });
}

/// Rows on their way, a batch at a time.
class RecordStream {
 public:
  RecordStream(const std::vector<std::string>& patterns, const std::string& base,
               const std::string& options_json, int threads, bool allow_empty) {
    auto options = Options("csv", options_json, threads, allow_empty);
    reader_ = Value(RunInterruptible<std::shared_ptr<ingest::RecordStream>>(
        [&](const StopFlag&) -> Result<std::shared_ptr<ingest::RecordStream>> {
          ARROW_ASSIGN_OR_RAISE(auto objects, source::List(patterns, base));
          return ingest::OpenRecordStream(std::move(objects), options);
        }));
  }

  nb::capsule Schema() const {
    auto schema = std::make_unique<ArrowSchema>();
    Check(arrow::ExportSchema(*reader_->schema(), schema.get()));
    return nb::capsule(schema.release(), "arrow_schema", [](void* pointer) noexcept {
      auto* const exported = static_cast<ArrowSchema*>(pointer);
      if (exported->release != nullptr) exported->release(exported);
      delete exported;
    });
  }

  nb::capsule Stream() const { return ExportStream(reader_); }

  /// None at the end. Waits for rows, as long as it takes.
  std::optional<ArrowTable> ReadNext() {
    auto batch = WithoutGil([&] { return reader_->Next(); });
    const auto next = Value(std::move(batch));
    if (next == nullptr) return std::nullopt;
    return ArrowTable(Value(arrow::Table::FromRecordBatches({next})));
  }

  ArrowTable PutAside() const { return ArrowTable(Value(reader_->PutAside())); }
  Warnings AllWarnings() const { return reader_->Warnings(); }

  void Close() {
    Check(WithoutGil([&] { return reader_->Close(); }));
  }

 private:
  std::shared_ptr<ingest::RecordStream> reader_;
};

}  // namespace

void BindIngest(nb::module_& module) {
  module.def("read_files", &ReadFiles, "patterns"_a, "base"_a, "format"_a, "options"_a, "threads"_a,
             "allow_empty"_a, "progress"_a.none(),
             "Reads the files that paths and globs name (relative to `base`), in parallel and in "
             "order; threads 0 means every core. `progress` is called some times a second with "
             "rows, bytes read, bytes of all, files done, files of all. Returns the rows, those "
             "that were put aside (None where that is not wanted), and the warnings.");
  module.def("read_files_into", &ReadFilesInto, "dir"_a, "patterns"_a, "base"_a, "format"_a,
             "options"_a, "threads"_a, "allow_empty"_a, "progress"_a.none(),
             "The same as a frame in the folder `dir`, in bounded memory. Returns the warnings.");
  nb::class_<RecordStream>(module, "RecordStream",
                           "CSV files as a stream of record batches, read ahead in parallel.")
      .def(nb::init<const std::vector<std::string>&, const std::string&, const std::string&, int,
                    bool>(),
           "patterns"_a, "base"_a, "options"_a, "threads"_a, "allow_empty"_a)
      .def("__arrow_c_schema__", &RecordStream::Schema,
           nb::sig("def __arrow_c_schema__(self) -> object"))
      .def(
          "__arrow_c_stream__",
          [](const RecordStream& self, const nb::object&) { return self.Stream(); },
          "requested_schema"_a = nb::none(),
          nb::sig("def __arrow_c_stream__(self, requested_schema: object | None = None) -> object"))
      .def("read_next", &RecordStream::ReadNext, "The next rows; None at the end.")
      .def("put_aside", &RecordStream::PutAside, "The rows that were put aside so far.")
      .def("warnings", &RecordStream::AllWarnings, "What could not be read so far.")
      .def("close", &RecordStream::Close, "Ends the threads that read ahead.");
  module.def("available_cores", &AvailableCores,
             "Cores this process may use: affinity and control group count.");
}

}  // namespace hayate::python
