#include "hayate/frame/sidecar.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "hayate/base/file.h"

namespace hayate::frame {

Status WriteSidecar(const std::string& dir, const Part& part) {
  Json json = ToJson(part);
  json["boot"] = BootId();
  const std::string text = ToCanonicalText(json) + "\n";
  ARROW_ASSIGN_OR_RAISE(
      const auto file,
      AtomicFile::Create(
          (std::filesystem::path(dir) / PartFileName(part.number, ".json")).string()));
  ARROW_RETURN_NOT_OK(file->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  return file->Commit();
}

Status RemoveSidecar(const std::string& dir, int64_t number) {
  const std::string path = (std::filesystem::path(dir) / PartFileName(number, ".json")).string();
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return FailErrno(errno, "cannot remove the part's sidecar", {.object = path});
  }
  return Status::OK();
}

std::string BootId() {
  // Once: a process does not outlive its boot, and parts of frames are many.
  static const auto* const boot = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    auto* const id = new std::string();
    std::getline(file, *id);
    return id;
  }();
  return *boot;
}

}  // namespace hayate::frame
