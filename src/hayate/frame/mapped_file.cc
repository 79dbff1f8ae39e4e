#include "hayate/frame/mapped_file.h"

#include <arrow/buffer.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "hayate/base/file.h"

namespace hayate::frame {
namespace {

class Mapping : public arrow::Buffer {
 public:
  Mapping(const uint8_t* data, int64_t size) : arrow::Buffer(data, size) {}
  ~Mapping() override { munmap(const_cast<uint8_t*>(data()), static_cast<size_t>(size())); }
};

}  // namespace

Result<std::shared_ptr<arrow::Buffer>> MapFile(const std::string& path) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "cannot open the file", {.object = path});
  return MapDescriptor(fd.get(), path);
}

Result<std::shared_ptr<arrow::Buffer>> MapDescriptor(int fd, const std::string& name) {
  struct stat info;
  if (fstat(fd, &info) != 0) return FailErrno(errno, "cannot stat", {.object = name});
  if (info.st_size == 0) return std::make_shared<arrow::Buffer>(nullptr, 0);
  void* data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return FailErrno(errno, "cannot map the file", {.object = name});
  return std::make_shared<Mapping>(static_cast<const uint8_t*>(data), info.st_size);
}

}  // namespace hayate::frame
