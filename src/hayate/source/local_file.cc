#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/source/source.h"

namespace hayate::source {
namespace {

class LocalFile : public ByteStream {
 public:
  LocalFile(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    while (true) {
      const ssize_t n = read(fd_.get(), out.data(), out.size());
      if (n >= 0) {
        offset_ += n;
        return n;
      }
      if (errno != EINTR) {
        return FailErrno(errno, "cannot read the input", {.object = path_, .byte = offset_});
      }
    }
  }

  const std::string& name() const override { return path_; }

 private:
  FileDescriptor fd_;
  std::string path_;
  int64_t offset_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> Open(const std::string& uri) {
  FileDescriptor fd(open(uri.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open the input", {.object = uri});
  // Read ahead further than for a random reader; advice only, so a refusal changes nothing.
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return std::make_unique<LocalFile>(std::move(fd), uri);
}

Result<std::string> ContentChecksum(const std::string& uri) {
  constexpr size_t kBufferBytes = 1 << 20;
  ARROW_ASSIGN_OR_RAISE(auto stream, Open(uri));
  std::vector<uint8_t> buffer(kBufferBytes);
  Hasher hasher;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(buffer));
    if (n == 0) return hasher.HexDigest();
    hasher.Update(std::span<const uint8_t>(buffer.data(), static_cast<size_t>(n)));
  }
}

}  // namespace hayate::source
