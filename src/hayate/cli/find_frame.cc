#include "hayate/cli/find_frame.h"

#include <filesystem>
#include <set>

namespace hayate::cli {

Result<std::string> FindFrame(const job::Store& store, const std::string& name) {
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::path(name) / "frame.json", error)) return name;
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  std::set<std::string> names;
  for (const job::StoredFrame& frame : frames) {
    if (!frame.committed) continue;
    if (frame.name == name || frame.name + "-" + frame.key16 == name) return frame.dir;
    names.insert(frame.name);
  }
  if (std::filesystem::is_regular_file(name, error)) {
    return Fail(Fault::kUsage, "it is a file, not a frame", {.object = name},
                "Make a frame of it: hayate convert " + name + " OUT");
  }
  std::string list;
  for (const std::string& one : names) list += (list.empty() ? "" : ", ") + one;
  return Fail(Fault::kUsage, "there is no frame \"" + name + "\"", {.object = store.root()},
              list.empty() ? "The store has none; name its folder by --store."
                           : "Name a folder or one of: " + list + ".");
}

}  // namespace hayate::cli
