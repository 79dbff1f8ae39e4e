#include <filesystem>

#include "hayate/frame/file_sink.h"
#include "hayate/frame/part_reader.h"
#include "hayate/frame/reader.h"

namespace hayate::frame {

Status Verify(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const Manifest manifest, ReadManifest(dir));
  return VerifyParts(dir, manifest);
}

Status VerifyParts(const std::string& dir, const Manifest& manifest) {
  for (const Part& part : manifest.parts) {
    ARROW_RETURN_NOT_OK(CheckPart(dir, part));
    const std::string path = (std::filesystem::path(dir) / part.file).string();
    ARROW_ASSIGN_OR_RAISE(const std::string checksum, ChecksumOfFile(path));
    if (checksum != part.checksum) {
      return Fail(
          Fault::kInput,
          "the part is damaged: its checksum is " + checksum + " instead of " + part.checksum,
          {.object = path, .partition = part.number},
          "Remove the frame's directory, then run again: what is missing is made anew.");
    }
  }
  return Status::OK();
}

}  // namespace hayate::frame
