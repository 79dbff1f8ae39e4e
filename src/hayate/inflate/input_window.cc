#include "hayate/inflate/input_window.h"

#include <array>
#include <cstring>
#include <utility>

namespace hayate::inflate {

Result<std::unique_ptr<InputWindow>> InputWindow::Make(int64_t capacity_bytes) {
  std::unique_ptr<InputWindow> window(new InputWindow());
  ARROW_ASSIGN_OR_RAISE(window->buffer_,
                        GuardedBuffer::Make(static_cast<size_t>(kHistoryBytes + capacity_bytes)));
  std::memset(window->buffer_.bytes().data(), 0, kHistoryBytes);
  window->data_ = window->buffer_.bytes().subspan(kHistoryBytes, 0);
  return window;
}

Result<std::span<uint8_t>> InputWindow::Fill(ByteStream* stream, size_t at_least) {
  // What was just in front of the new bytes, history of the history included: fills may be tiny.
  std::array<uint8_t, kHistoryBytes> history{};
  std::memcpy(history.data(), data_.data() + data_.size() - kHistoryBytes, kHistoryBytes);
  const std::span<uint8_t> room = buffer_.bytes().subspan(kHistoryBytes);
  size_t size = 0;
  while (size < at_least) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(room.subspan(size)));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  data_ = room.first(size);
  if (kGuardsBuffers && size < room.size()) {
    data_ = room.last(size);
    std::memmove(data_.data(), room.data(), size);
  }
  std::memcpy(data_.data() - kHistoryBytes, history.data(), kHistoryBytes);
  return data_;
}

}  // namespace hayate::inflate
