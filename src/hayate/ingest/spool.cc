#include "hayate/ingest/spool.h"

#include <arrow/io/file.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "hayate/base/file.h"

namespace hayate::ingest {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

Result<FileDescriptor> OpenNameless(const std::string& dir) {
  FileDescriptor fd(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
    return FailErrno(errno, "cannot make a temporary file", {.object = dir});
  }
  // Not every file system has files without a name: one is taken away at once.
  std::string pattern = dir + "/.spool-XXXXXX";
  FileDescriptor named(mkostemp(pattern.data(), O_CLOEXEC));
  if (!named.valid()) return FailErrno(errno, "cannot make a temporary file", {.object = dir});
  unlink(pattern.c_str());
  return named;
}

Status WriteAll(int fd, std::span<const uint8_t> bytes, const std::string& dir) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "cannot write a temporary file", {.object = dir});
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Status::OK();
}

}  // namespace

Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(ByteStream* stream,
                                                           const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(FileDescriptor fd, OpenNameless(dir));
  std::vector<uint8_t> buffer(kBufferBytes);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(buffer));
    if (n == 0) break;
    ARROW_RETURN_NOT_OK(
        WriteAll(fd.get(), std::span<const uint8_t>(buffer).first(static_cast<size_t>(n)), dir));
  }
  return arrow::io::ReadableFile::Open(fd.Release());
}

}  // namespace hayate::ingest
