#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"

namespace hayate::inflate {

/// The compressed bytes that ISA-L sees at a time. In sanitized builds the last byte of every fill
/// lies at the end of a page that is followed by one without any access: ISA-L is assembly, which
/// no sanitizer sees, so an overrun has to trap by itself.
class InputWindow {
 public:
  /// Bytes of the fill before that stay readable in front of `data()`. ISA-L buffers up to eight
  /// bytes of input and steps back over those it did not need; they may be of the fill before.
  static constexpr int64_t kHistoryBytes = 16;

  static Result<std::unique_ptr<InputWindow>> Make(int64_t capacity_bytes);
  ~InputWindow();
  InputWindow(const InputWindow&) = delete;
  InputWindow& operator=(const InputWindow&) = delete;

  /// Replaces the contents by the next bytes of `stream`; empty at its end.
  Result<std::span<uint8_t>> Fill(ByteStream* stream);

  std::span<uint8_t> data() const { return data_; }

 private:
  InputWindow() = default;

  uint8_t* mapping_ = nullptr;
  int64_t mapping_bytes_ = 0;
  uint8_t* first_ = nullptr;  // of `capacity_` bytes, kHistoryBytes after the start of the mapping
  int64_t capacity_ = 0;
  std::span<uint8_t> data_;
};

}  // namespace hayate::inflate
