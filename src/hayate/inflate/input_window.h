#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "hayate/base/byte_stream.h"
#include "hayate/base/guarded_buffer.h"
#include "hayate/base/status.h"

namespace hayate::inflate {

/// The compressed bytes that ISA-L sees at a time. Every fill ends where the guarded buffer does.
class InputWindow {
 public:
  /// Bytes of the fill before that stay readable in front of `data()`. ISA-L buffers up to eight
  /// bytes of input and steps back over those it did not need; they may be of the fill before.
  static constexpr int64_t kHistoryBytes = 16;

  static Result<std::unique_ptr<InputWindow>> Make(int64_t capacity_bytes);
  ~InputWindow() = default;
  InputWindow(const InputWindow&) = delete;
  InputWindow& operator=(const InputWindow&) = delete;

  /// Replaces the contents by the next bytes of `stream`, as many as a read gives but no fewer than
  /// `at_least`; fewer, or none, only at its end.
  Result<std::span<uint8_t>> Fill(ByteStream* stream, size_t at_least = 1);

  std::span<uint8_t> data() const { return data_; }

 private:
  InputWindow() = default;

  GuardedBuffer buffer_;  // history, then a fill
  std::span<uint8_t> data_;
};

}  // namespace hayate::inflate
