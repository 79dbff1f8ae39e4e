#include "hayate/base/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace hayate {

Result<GuardedBuffer> GuardedBuffer::Make(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t usable = (bytes + page - 1) / page * page;
  const size_t mapped = usable + (kGuardsBuffers ? page : 0);
  void* const mapping =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return FailErrno(errno, "cannot map memory for a buffer");
  GuardedBuffer buffer;
  buffer.mapping_ = static_cast<uint8_t*>(mapping);
  buffer.mapping_bytes_ = mapped;
  if (kGuardsBuffers && mprotect(buffer.mapping_ + usable, page, PROT_NONE) != 0) {
    return FailErrno(errno, "cannot protect the page behind a buffer");
  }
  buffer.bytes_ = {buffer.mapping_ + (usable - bytes), bytes};
  return buffer;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_bytes_(other.mapping_bytes_),
      bytes_(std::exchange(other.bytes_, {})) {}

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace hayate
