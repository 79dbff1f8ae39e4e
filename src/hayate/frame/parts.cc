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
#include <optional>

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

// nullopt for what cannot be read or understood (torn by a power cut, of another version): it says
// nothing, so its part is made again.
std::optional<std::pair<Part, std::string>> ReadSidecar(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text.ok()) return std::nullopt;
  const auto json = ParseJson(*text, path);
  if (!json.ok()) return std::nullopt;
  auto part = PartFromJson(*json, path);
  const auto boot = Member<std::string>(*json, "boot", path);
  if (!part.ok() || !boot.ok()) return std::nullopt;
  return std::pair(*std::move(part), *boot);
}

// By number.
Result<std::vector<Part>> FindParts(const std::string& dir, bool of_this_boot) {
  std::vector<Part> parts;
  if (!PathExists(dir)) return parts;
  const std::string boot = BootId();
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(dir));
  for (const std::string& name : names) {
    if (!IsSidecar(name)) continue;
    auto found = ReadSidecar(Join(dir, name));
    if (!found || (found->second == boot) != of_this_boot) continue;
    Part& part = found->first;
    if (PartFileName(part.number, ".json") != name) continue;
    if (SizeOf(Join(dir, part.file)) == part.bytes) parts.push_back(std::move(part));
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.number < b.number; });
  return parts;
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
  return FindParts(dir, /*of_this_boot=*/true);
}

Result<std::vector<Part>> UncheckedParts(const std::string& dir) {
  return FindParts(dir, /*of_this_boot=*/false);
}

Status CheckParts(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto parts, UncheckedParts(dir));
  for (const Part& part : parts) {
    ARROW_ASSIGN_OR_RAISE(const auto checksum, ChecksumOfFile(Join(dir, part.file)));
    ARROW_RETURN_NOT_OK(checksum == part.checksum ? WriteSidecar(dir, part)
                                                  : RemoveSidecar(dir, part.number));
  }
  return Status::OK();
}

Status ClearFrame(const std::string& dir) {
  if (!PathExists(dir)) return Status::OK();
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
