#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "hayate/base/byte_stream.h"

namespace hayate::csv {

/// Text in memory as a stream that hands out at most `piece_bytes` at a time (tests, fuzzing).
class MemoryStream : public ByteStream {
 public:
  MemoryStream(std::string text, size_t piece_bytes)
      : text_(std::move(text)), piece_bytes_(piece_bytes) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    const size_t n = std::min({out.size(), piece_bytes_, text_.size() - at_});
    if (n > 0) std::memcpy(out.data(), text_.data() + at_, n);
    at_ += n;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return name_; }

 private:
  const std::string text_;
  const size_t piece_bytes_;
  size_t at_ = 0;
  const std::string name_ = "shard.csv";
};

}  // namespace hayate::csv
