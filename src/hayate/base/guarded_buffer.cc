#include "hayate/base/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace hayate {

Result<GuardedBuffer> GuardedBuffer::Make(size_t bytes) {
  GuardedBuffer buffer;
  if (!kGuardsBuffers) {
    buffer.memory_ = static_cast<uint8_t*>(std::malloc(bytes));
    if (buffer.memory_ == nullptr) return FailErrno(ENOMEM, "no memory for a buffer");
    buffer.bytes_ = {buffer.memory_, bytes};
    return buffer;
  }
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t usable = (bytes + page - 1) / page * page;
  const size_t mapped = usable + page;
  void* const mapping =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return FailErrno(errno, "cannot map memory for a buffer");
  buffer.memory_ = static_cast<uint8_t*>(mapping);
  buffer.mapped_bytes_ = mapped;
  if (mprotect(buffer.memory_ + usable, page, PROT_NONE) != 0) {
    return FailErrno(errno, "cannot protect the page behind a buffer");
  }
  buffer.bytes_ = {buffer.memory_ + (usable - bytes), bytes};
  return buffer;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapped_bytes_ != 0) {
    munmap(memory_, mapped_bytes_);
  } else {
    std::free(memory_);
  }
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      bytes_(std::exchange(other.bytes_, {})) {}

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace hayate
