#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/base/status.h"

namespace hayate {

/// Owns a file descriptor; closes it when destroyed.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { Reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = other.Release();
    }
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset();

 private:
  int fd_ = -1;
};

/// Whole contents of a small file (state, manifests: at most 256 MiB).
Result<std::string> ReadFile(const std::string& path);

/// Writes a temporary beside `path`, syncs it, renames it, syncs the directory: `path` holds all of
/// `bytes` or what it held before, also after a power cut.
Status WriteFileAtomically(const std::string& path, std::string_view bytes);

/// A new file that appears under its name only when it is committed: until then it is
/// `.<name>.<16 random digits>.tmp` beside `path`, locked by us. One thread.
class AtomicFile {
 public:
  static Result<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  ~AtomicFile();  ///< removes the temporary if it was not committed

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  /// Appends all of `bytes`, or fails naming the path (disk full, quota).
  Status Append(std::span<const uint8_t> bytes);
  /// Renames the temporary to its name. Visible afterwards; durable after SyncPath.
  Status Commit();
  /// Syncs it first and the directory afterwards: under the name is always a whole file.
  Status CommitDurably();

 private:
  AtomicFile() = default;
  std::string path_;
  std::string temporary_;
  FileDescriptor fd_;
  bool committed_ = false;
};

/// Removes the temporaries of `path` that nobody writes any more: what killed processes have left.
Status RemoveTemporaries(const std::string& path);

/// fsync of a file or directory.
Status SyncPath(const std::string& path);

/// Whether there is something at `path`; what cannot be looked at counts as absent.
bool PathExists(const std::string& path);
/// The folder that `path` lies in; "." for a plain name.
std::string ParentFolder(const std::string& path);

/// mkdir -p.
Status MakeDirectories(const std::string& path);
/// rm -r; a path that is not there is no error.
Status RemoveTree(const std::string& path);
/// Names (not paths) in a directory, sorted bytewise; `.` and `..` left out.
Result<std::vector<std::string>> ListDirectory(const std::string& path);

}  // namespace hayate
