#include <arrow/array.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/frame/file_sink.h"
#include "hayate/frame/mapped_file.h"
#include "hayate/frame/sidecar.h"
#include "hayate/frame/widening.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

std::string Join(const std::string& dir, const std::string& file) {
  return (std::filesystem::path(dir) / file).string();
}

// -1 where there is no such file.
int64_t SizeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<int64_t>(info.st_size) : -1;
}

// Rows, schema and widening limits of an Arrow file that we did not write.
Status Describe(const std::string& path, Part* part) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, MapFile(path));
  const auto file = std::make_shared<arrow::io::BufferReader>(std::move(bytes));
  ARROW_ASSIGN_OR_RAISE(const auto reader, arrow::ipc::RecordBatchFileReader::Open(file));
  part->schema = reader->schema();
  part->rows = 0;
  WideningLimits limits(part->schema->num_fields());
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, reader->ReadRecordBatch(i));
    ARROW_RETURN_NOT_OK(batch->Validate());
    part->rows += batch->num_rows();
    limits.Add(*batch);
  }
  limits.RecordIn(part);
  return Status::OK();
}

// A part that was written before the machine last started may have lost pages with the power; its
// checksum decides. Within one boot the page cache holds what was written.
Result<bool> IsWhole(const std::string& dir, const Part& part, const std::string& boot) {
  const std::string path = Join(dir, part.file);
  if (SizeOf(path) != part.bytes) return false;
  if (!boot.empty() && boot == BootId()) return true;
  ARROW_ASSIGN_OR_RAISE(const auto checksum, ChecksumOfFile(path));
  return checksum == part.checksum;
}

// "part-00007.json", and no value's "part-00007.value.json".
bool IsSidecar(std::string_view name) {
  constexpr std::string_view kPrefix = "part-";
  constexpr std::string_view kSuffix = ".json";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  return name.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsOurs(const std::string& name) {
  return name.starts_with("part-") || name == "whole.arrow" ||
         (name.starts_with(".") && name.ends_with(".tmp"));
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::OK();
  return FailErrno(errno, "cannot remove", {.object = path});
}

}  // namespace

Result<Part> AdoptPart(const std::string& dir, Part part) {
  if (part.file.empty()) {
    part.file =
        PartFileName(part.number, part.codec == "arrow" ? ".arrow" : ".value." + part.codec);
  }
  const std::string path = Join(dir, part.file);
  if (IsSidecar(part.file)) {
    return Fail(Fault::kInternal, "a part cannot have the name of a sidecar", {.object = path},
                "Name the file of a JSON value part-00000.value.json.");
  }
  part.bytes = SizeOf(path);
  if (part.bytes < 0) return FailErrno(ENOENT, "the part to adopt is not there", {.object = path});
  ARROW_RETURN_NOT_OK(RemoveSidecar(dir, part.number));
  if (part.codec == "arrow" && !part.schema) {
    const Status described = Describe(path, &part);
    if (!described.ok()) {
      return Fail(Fault::kInput, "not an Arrow IPC file: " + described.message(), {.object = path});
    }
  }
  ARROW_ASSIGN_OR_RAISE(part.checksum, ChecksumOfFile(path));
  ARROW_RETURN_NOT_OK(WriteSidecar(dir, part));
  return part;
}

Result<std::vector<Part>> FinishedParts(const std::string& dir) {
  std::vector<Part> parts;
  if (!std::filesystem::exists(dir)) return parts;
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(dir));
  for (const std::string& name : names) {
    if (!IsSidecar(name)) continue;
    const std::string path = Join(dir, name);
    // A sidecar that cannot be understood (torn by a power cut, of another version) says nothing:
    // its part is made again.
    ARROW_ASSIGN_OR_RAISE(const std::string text, ReadFile(path));
    const auto json = ParseJson(text, path);
    if (!json.ok()) continue;
    auto part = PartFromJson(*json, path);
    if (!part.ok() || PartFileName(part->number, ".json") != name) continue;
    const auto boot = Member<std::string>(*json, "boot", path);
    ARROW_ASSIGN_OR_RAISE(const bool whole, IsWhole(dir, *part, boot.ValueOr(std::string())));
    if (whole) parts.push_back(*std::move(part));
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.number < b.number; });
  return parts;
}

Status ClearFrame(const std::string& dir) {
  if (!std::filesystem::exists(dir)) return Status::OK();
  // First what says that there is something, then the thing.
  ARROW_RETURN_NOT_OK(RemoveFile(Join(dir, "frame.json")));
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(dir));
  for (const bool sidecars : {true, false}) {
    for (const std::string& name : names) {
      if (IsOurs(name) && IsSidecar(name) == sidecars) {
        ARROW_RETURN_NOT_OK(RemoveFile(Join(dir, name)));
      }
    }
  }
  return Status::OK();
}

}  // namespace hayate::frame
