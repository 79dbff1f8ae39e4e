#include "hayate/inflate/input_window.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace hayate::inflate {
namespace {

#ifdef HAYATE_SANITIZED
constexpr bool kGuarded = true;
#else
constexpr bool kGuarded = false;
#endif

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Result<std::unique_ptr<InputWindow>> InputWindow::Make(int64_t capacity_bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t usable = RoundUp(kHistoryBytes + capacity_bytes, page);
  const int64_t mapped = usable + (kGuarded ? page : 0);
  void* const mapping = mmap(nullptr, static_cast<size_t>(mapped), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return FailErrno(errno, "cannot map memory for compressed input");
  std::unique_ptr<InputWindow> window(new InputWindow());
  window->mapping_ = static_cast<uint8_t*>(mapping);
  window->mapping_bytes_ = mapped;
  if (kGuarded && mprotect(window->mapping_ + usable, static_cast<size_t>(page), PROT_NONE) != 0) {
    return FailErrno(errno, "cannot protect the guard page of compressed input");
  }
  // The window ends where the usable pages end, so that the guard page is its neighbour.
  window->first_ = window->mapping_ + usable - capacity_bytes;
  window->capacity_ = capacity_bytes;
  window->data_ = std::span<uint8_t>(window->first_, size_t{0});
  return window;
}

InputWindow::~InputWindow() {
  if (mapping_ != nullptr) munmap(mapping_, static_cast<size_t>(mapping_bytes_));
}

Result<std::span<uint8_t>> InputWindow::Fill(ByteStream* stream) {
  // What was just in front of the new bytes, history of the history included: fills may be tiny.
  std::array<uint8_t, kHistoryBytes> history{};
  std::memcpy(history.data(), data_.data() + data_.size() - kHistoryBytes, kHistoryBytes);
  ARROW_ASSIGN_OR_RAISE(const int64_t n,
                        stream->Read(std::span<uint8_t>(first_, static_cast<size_t>(capacity_))));
  uint8_t* start = first_;
  if (kGuarded && n < capacity_) {
    start = first_ + (capacity_ - n);
    std::memmove(start, first_, static_cast<size_t>(n));
  }
  std::memcpy(start - kHistoryBytes, history.data(), kHistoryBytes);
  data_ = std::span<uint8_t>(start, static_cast<size_t>(n));
  return data_;
}

}  // namespace hayate::inflate
