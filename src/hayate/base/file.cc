#include "hayate/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace hayate {
namespace {

constexpr int64_t kMaxSmallFileBytes = 256LL << 20;

// A name that no other process, and no other thread of this one, makes at the same time.
std::string TemporaryName(const std::string& path) {
  static std::atomic<uint64_t> counter = 0;
  const std::filesystem::path target(path);
  return (target.parent_path() /
          ("." + target.filename().string() + "." + std::to_string(getpid()) + "." +
           std::to_string(counter++) + ".tmp"))
      .string();
}

std::string ParentOf(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

}  // namespace

void FileDescriptor::Reset() {
  // Nothing was written through a descriptor that is only dropped: writers sync or commit before.
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<std::string> ReadFile(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open the file", {.object = path});
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return FailErrno(errno, "cannot stat", {.object = path});
  if (info.st_size > kMaxSmallFileBytes) {
    return Fail(Fault::kInput, "the file is larger than a state file can be", {.object = path});
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + filled, text.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "cannot read the file", {.object = path});
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  text.resize(filled);
  return text;
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  std::unique_ptr<AtomicFile> file(new AtomicFile());
  file->path_ = path;
  file->temporary_ = TemporaryName(path);
  file->fd_ =
      FileDescriptor(open(file->temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file->fd_.valid()) {
    const int error = errno;
    file->temporary_.clear();
    return FailErrno(error, "cannot create the file", {.object = path});
  }
  return file;
}

AtomicFile::~AtomicFile() {
  if (!committed_ && !temporary_.empty()) unlink(temporary_.c_str());
}

Status AtomicFile::Append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "cannot write", {.object = path_});
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Status::OK();
}

Status AtomicFile::Commit() {
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return FailErrno(errno, "cannot rename the finished file into place", {.object = path_});
  }
  committed_ = true;
  return Status::OK();
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  ARROW_ASSIGN_OR_RAISE(auto file, AtomicFile::Create(path));
  ARROW_RETURN_NOT_OK(file->Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  if (fsync(file->fd()) != 0) return FailErrno(errno, "cannot sync", {.object = path});
  ARROW_RETURN_NOT_OK(file->Commit());
  return SyncPath(ParentOf(path));
}

Status SyncPath(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open to sync", {.object = path});
  if (fsync(fd.get()) != 0) return FailErrno(errno, "cannot sync", {.object = path});
  return Status::OK();
}

Status MakeDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return FailErrno(error.value(), "cannot make the directory", {.object = path});
  return Status::OK();
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return FailErrno(error.value(), "cannot remove", {.object = path});
  return Status::OK();
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return FailErrno(errno, "cannot list the directory", {.object = path});
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) return FailErrno(errno, "cannot list the directory", {.object = path});
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hayate
