#include "hayate/output/output.h"

#include <cerrno>

#include "hayate/base/file.h"
#include "hayate/frame/file_sink.h"
#include "hayate/frame/row_labels.h"
#include "hayate/output/writers.h"

namespace hayate::output {
namespace {

Status Write(const frame::FrameReader& all, const std::string& format, int threads,
             const std::shared_ptr<frame::FileSink>& sink) {
  // What reads these formats knows no row labels: the columns are the same with and without.
  const auto frame = format != "arrow" && frame::HasRowLabels(*all.manifest().schema)
                         ? all.As(frame::WithoutRowLabels(all.manifest().schema))
                         : all;
  if (format == "csv") return WriteCsv(frame, /*gzip=*/false, threads, sink.get());
  if (format == "csv.gz") return WriteCsv(frame, /*gzip=*/true, threads, sink.get());
  if (format == "arrow") return WriteArrow(frame, sink.get());
  if (format == "parquet") return WriteParquet(frame, threads, sink);
  return Fail(Fault::kUsage, "\"" + format + "\" is no format that can be written", {},
              "Choose among arrow, parquet, csv and csv.gz.");
}

// What Arrow's writers say themselves is about a type that the format does not have, or memory.
Status Explained(const Status& status, const std::string& path) {
  if (status.ok() || FaultDetail::Get(status) != nullptr) return status;
  if (status.IsOutOfMemory()) return FailErrno(ENOMEM, "cannot encode rows", {.object = path});
  return Fail(Fault::kUsage, "the table cannot be written in this format: " + status.message(),
              {.object = path}, "Leave the column out, change its type, or choose another format.");
}

}  // namespace

Result<OutputResult> WriteFrame(const frame::FrameReader& frame, const std::string& path,
                                const OutputOptions& options) {
  if (!frame.manifest().is_table()) {
    return Fail(Fault::kUsage, "only a table can be written to a file; this holds values",
                {.object = frame.manifest().name}, "Return a data frame from the stage.");
  }
  std::string format = options.format;
  if (format.empty()) {
    ARROW_ASSIGN_OR_RAISE(format, FormatOfPath(path));
  }
  ARROW_RETURN_NOT_OK(MakeDirectories(ParentFolder(path)));
  ARROW_RETURN_NOT_OK(RemoveTemporaries(path));
  ARROW_ASSIGN_OR_RAISE(const auto sink, frame::FileSink::Create(path, /*with_checksum=*/false));
  sink->set_keep_going(options.keep_going);
  ARROW_RETURN_NOT_OK(Explained(Write(frame, format, options.threads, sink), path));
  ARROW_RETURN_NOT_OK(sink->CommitDurably());
  return OutputResult{.rows = frame.manifest().rows, .bytes = sink->bytes()};
}

}  // namespace hayate::output
