#include "hayate/frame/file_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace hayate::frame {
namespace {

// Metadata and padding come in pieces of some bytes; a system call for each would cost more than
// the copy.
constexpr int64_t kGatherBytes = 256 * 1024;
constexpr int64_t kReadBytes = 1024 * 1024;

}  // namespace

FileSink::FileSink(std::unique_ptr<AtomicFile> file, bool with_checksum)
    : file_(std::move(file)), hasher_(with_checksum ? std::make_unique<Hasher>() : nullptr) {
  set_mode(arrow::io::FileMode::WRITE);
}

FileSink::~FileSink() = default;

Result<std::shared_ptr<FileSink>> FileSink::Create(const std::string& path, bool with_checksum) {
  ARROW_ASSIGN_OR_RAISE(auto file, AtomicFile::Create(path));
  return std::shared_ptr<FileSink>(new FileSink(std::move(file), with_checksum));
}

Status FileSink::Write(const void* data, int64_t nbytes) {
  const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(data),
                                       static_cast<size_t>(nbytes));
  if (hasher_ != nullptr) hasher_->Update(bytes);
  if (static_cast<int64_t>(gathered_.size()) + nbytes > kGatherBytes) ARROW_RETURN_NOT_OK(Flush());
  if (nbytes >= kGatherBytes) {
    ARROW_RETURN_NOT_OK(Append(bytes));
  } else {
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
  }
  position_ += nbytes;
  return Status::OK();
}

Status FileSink::Append(std::span<const uint8_t> bytes) {
  if (keep_going_ && !keep_going_())
    return Fail(Fault::kInterrupted, "the writing was interrupted");
  return file_->Append(bytes);
}

Status FileSink::Flush() {
  if (gathered_.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(Append(gathered_));
  gathered_.clear();
  return Status::OK();
}

Status FileSink::Close() {
  closed_ = true;
  return Flush();
}

Status FileSink::Commit() {
  ARROW_RETURN_NOT_OK(Close());
  return file_->Commit();
}

Status FileSink::CommitDurably() {
  ARROW_RETURN_NOT_OK(Close());
  return file_->CommitDurably();
}

std::string FileSink::Checksum() const { return hasher_ ? hasher_->HexDigest() : std::string(); }

Result<std::string> ChecksumOfFile(const std::string& path) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open the part", {.object = path});
  Hasher hasher;
  std::vector<uint8_t> window(kReadBytes);
  while (true) {
    const ssize_t n = read(fd.get(), window.data(), window.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "cannot read the part", {.object = path});
    if (n == 0) return hasher.HexDigest();
    hasher.Update(std::span<const uint8_t>(window.data(), static_cast<size_t>(n)));
  }
}

}  // namespace hayate::frame
