#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::job {

/// A directory of `frames/`.
struct StoredFrame {
  std::string dir;
  std::string name;   ///< of the node, or of the copy
  std::string key16;  ///< first 16 digits of the key
  bool committed = false;
  int64_t changed_ns = 0;  ///< mtime of the manifest, or of the directory where there is none
};

/// What lies in the directory of a name and a key.
struct FoundFrame {
  /// Of a frame that is whole as far as its files' lengths tell (Manifest::needs_verify).
  std::optional<frame::Manifest> manifest;
  /// Why what lies there is no such frame; empty where nothing does.
  std::string trouble;
};

/// The layout of `.hayate/` (docs/formats/job.md): names of paths and what lies there. Holds no
/// state; another process may change the store between two calls unless the lock is held.
class Store {
 public:
  explicit Store(std::string root);

  const std::string& root() const { return root_; }
  std::string lock_path() const { return root_ + "/lock"; }
  std::string frames_dir() const { return root_ + "/frames"; }
  std::string runs_dir() const { return root_ + "/runs"; }
  std::string outputs_dir() const { return root_ + "/outputs"; }
  std::string history_path() const { return root_ + "/state.db"; }

  std::string FrameDir(const std::string& name, const std::string& key) const;
  std::string RunDir(const std::string& run) const { return runs_dir() + "/" + run; }
  /// What is remembered of the file that an output wrote to `path`.
  std::string OutputNote(const std::string& path) const;
  /// Description::PlannedCode() of that run.
  std::string CodePath(const std::string& run) const { return RunDir(run) + "/code.json"; }

  /// Makes the folders. Fault::kStorage where that is not allowed.
  Status Create() const;

  /// By name, then newest first. A store that is not there has none.
  Result<std::vector<StoredFrame>> Frames() const;
  /// The newest committed frame of that name.
  Result<std::optional<StoredFrame>> Newest(const std::string& name) const;
  /// The frame of `name` with exactly `key`. Reads its manifest and the lengths of its files.
  FoundFrame Find(const std::string& name, const std::string& key) const;
  /// Identifiers of the runs, oldest first.
  Result<std::vector<std::string>> Runs() const;

 private:
  std::string root_;
};

/// `name` of a split copy: "clicks-by-user_id", shortened where it would not fit a file name.
std::string ShuffledName(const std::string& name, const std::vector<std::string>& columns);

}  // namespace hayate::job
