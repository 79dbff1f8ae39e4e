#include "hayate/ingest/spool.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "hayate/base/file.h"

namespace hayate::ingest {
namespace {

using RandomAccessFilePtr = std::shared_ptr<arrow::io::RandomAccessFile>;

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

Status OfAnotherSize(const ByteStream& stream, int64_t size_bytes) {
  return Fail(Fault::kInput,
              "the object is not of the " + std::to_string(size_bytes) + " bytes that are listed",
              {.object = stream.name()}, "Look for what else writes to it, then run again.");
}

Result<RandomAccessFilePtr> ToMemory(ByteStream* stream, int64_t size_bytes) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(size_bytes));
  auto rest = std::span<uint8_t>(buffer->mutable_data(), static_cast<size_t>(size_bytes));
  while (!rest.empty()) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(rest));
    if (n == 0) return OfAnotherSize(*stream, size_bytes);
    rest = rest.subspan(static_cast<size_t>(n));
  }
  // Only at its end does a stream say whether the bytes were right.
  uint8_t beyond = 0;
  ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(std::span<uint8_t>(&beyond, 1)));
  if (n != 0) return OfAnotherSize(*stream, size_bytes);
  return std::make_shared<arrow::io::BufferReader>(std::move(buffer));
}

Result<RandomAccessFilePtr> ToFile(ByteStream* stream, int64_t size_bytes, const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(FileDescriptor fd, OpenNameless(dir));
  std::vector<uint8_t> buffer(kBufferBytes);
  int64_t size = 0;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(buffer));
    if (n == 0) break;
    size += n;
    ARROW_RETURN_NOT_OK(
        WriteAll(fd.get(), std::span<const uint8_t>(buffer).first(static_cast<size_t>(n)), dir));
  }
  if (size != size_bytes) return OfAnotherSize(*stream, size_bytes);
  return arrow::io::ReadableFile::Open(fd.Release());
}

}  // namespace

Result<RandomAccessFilePtr> Spool(ByteStream* stream, const SpoolOptions& options,
                                  const std::string& dir) {
  if (options.size_bytes <= options.most_in_memory) return ToMemory(stream, options.size_bytes);
  return ToFile(stream, options.size_bytes, dir);
}

}  // namespace hayate::ingest
