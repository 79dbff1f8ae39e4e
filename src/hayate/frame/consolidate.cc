#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/frame/mapped_file.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/sidecar.h"
#include "hayate/frame/whole_writer.h"

namespace hayate::frame {
namespace {

// whole.arrow is never synced: a copy need not outlive the machine. So its footer says in which
// boot it was written, and one of another boot is written again.
constexpr const char* kBootKey = "hayate.boot";

std::string PathOf(const std::string& dir) {
  return (std::filesystem::path(dir) / "whole.arrow").string();
}

bool IsFresh(const std::string& path) {
  if (!PathExists(path)) return false;
  const auto bytes = MapFile(path);
  if (!bytes.ok()) return false;
  const auto reader =
      arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(*bytes));
  if (!reader.ok() || !(*reader)->metadata()) return false;
  const auto boot = (*reader)->metadata()->Get(kBootKey);
  return boot.ok() && *boot == BootId() && !boot->empty();
}

// The file of the only batch; empty if there are several, or if it is not of the frame's schema.
Result<std::string> OnlyBatch(const FrameReader& frame) {
  std::string file;
  for (int64_t part = 0; part < frame.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame.NumBatches(part));
    if (batches == 0) continue;
    const Part& candidate = frame.manifest().parts[static_cast<size_t>(part)];
    if (batches > 1 || !file.empty() || !candidate.schema->Equals(*frame.manifest().schema)) {
      return std::string();
    }
    file = candidate.file;
  }
  return file;
}

}  // namespace

Result<std::string> Consolidate(const std::string& dir, int threads) {
  const std::string path = PathOf(dir);
  ARROW_ASSIGN_OR_RAISE(const auto frame, FrameReader::Open(dir));
  if (!frame->manifest().is_table()) {
    return Fail(Fault::kUsage, "the frame holds values, not a table", {.object = dir});
  }
  ARROW_ASSIGN_OR_RAISE(const std::string only, OnlyBatch(*frame));
  if (!only.empty()) return (std::filesystem::path(dir) / only).string();
  if (IsFresh(path)) return path;
  // Those of killed processes are as large as the frame.
  ARROW_RETURN_NOT_OK(RemoveTemporaries(path));
  const Status status =
      WriteWhole(*frame, path, threads, arrow::key_value_metadata({kBootKey}, {BootId()}));
  if (!status.ok() && FaultDetail::Get(status) == nullptr) {
    return Fail(Fault::kInternal, "cannot consolidate the frame: " + status.message(),
                {.object = dir});
  }
  ARROW_RETURN_NOT_OK(status);
  return path;
}

std::string FreshWhole(const std::string& dir) {
  std::string path = PathOf(dir);
  return IsFresh(path) ? path : std::string();
}

}  // namespace hayate::frame
