#include "hayate/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace hayate {
namespace {

constexpr int64_t kMaxSmallFileBytes = 256LL << 20;

constexpr size_t kRandomDigits = 16;
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr int kNameAttempts = 16;

std::string TemporaryPrefix(const std::string& path) {
  return "." + std::filesystem::path(path).filename().string() + ".";
}

// By chance: numbers of processes begin anew with each container, and what a killed one left stays.
Result<std::string> TemporaryName(const std::string& path) {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    return FailErrno(errno, "cannot make up a name for the temporary", {.object = path});
  }
  std::array<char, kRandomDigits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%016" PRIx64, bits);
  return ParentFolder(path) + "/" + TemporaryPrefix(path) + digits.data() +
         std::string(kTemporarySuffix);
}

bool IsTemporaryOf(std::string_view name, std::string_view prefix) {
  if (name.size() != prefix.size() + kRandomDigits + kTemporarySuffix.size()) return false;
  return name.starts_with(prefix) && name.ends_with(kTemporarySuffix) &&
         name.substr(prefix.size(), kRandomDigits).find_first_not_of("0123456789abcdef") ==
             std::string_view::npos;
}

// RemoveTemporaries may have come between the file's making and its lock: then it is lost.
bool LockNew(int fd) {
  // Where the file system knows no locks nothing is removed either.
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  struct stat info;
  return fstat(fd, &info) == 0 && info.st_nlink > 0;
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
  int error = EEXIST;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    ARROW_ASSIGN_OR_RAISE(const std::string temporary, TemporaryName(path));
    file->fd_ =
        FileDescriptor(open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file->fd_.valid()) {
      if (!LockNew(file->fd_.get())) continue;
      file->temporary_ = temporary;
      return file;
    }
    error = errno;
    if (error != EEXIST) break;
  }
  return FailErrno(error, "cannot create the file", {.object = path});
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

Status AtomicFile::CommitDurably() {
  if (fsync(fd_.get()) != 0) return FailErrno(errno, "cannot sync", {.object = path_});
  ARROW_RETURN_NOT_OK(Commit());
  return SyncPath(ParentFolder(path_));
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  ARROW_ASSIGN_OR_RAISE(auto file, AtomicFile::Create(path));
  ARROW_RETURN_NOT_OK(file->Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  return file->CommitDurably();
}

Status RemoveTemporaries(const std::string& path) {
  const std::string folder = ParentFolder(path);
  const std::string prefix = TemporaryPrefix(path);
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(folder));
  for (const std::string& name : names) {
    if (!IsTemporaryOf(name, prefix)) continue;
    const std::string temporary = folder + "/" + name;
    const FileDescriptor fd(open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    // The lock of whoever writes it goes with that process.
    if (!fd.valid() || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (unlink(temporary.c_str()) != 0 && errno != ENOENT) {
      return FailErrno(errno, "cannot remove", {.object = temporary});
    }
  }
  return Status::OK();
}

Status SyncPath(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open to sync", {.object = path});
  if (fsync(fd.get()) != 0) return FailErrno(errno, "cannot sync", {.object = path});
  return Status::OK();
}

bool PathExists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

std::string ParentFolder(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
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
