#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "hayate/base/byte_stream.h"

namespace hayate {

/// Bytes in memory as a stream that hands out at most `piece_bytes` at a time (tests, fuzzing).
class MemoryStream : public ByteStream {
 public:
  MemoryStream(std::string bytes, size_t piece_bytes, std::string name = "shard.csv")
      : bytes_(std::move(bytes)), piece_bytes_(piece_bytes), name_(std::move(name)) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    const size_t n = std::min({out.size(), piece_bytes_, bytes_.size() - at_});
    if (n > 0) std::memcpy(out.data(), bytes_.data() + at_, n);
    at_ += n;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return name_; }

 private:
  const std::string bytes_;
  const size_t piece_bytes_;
  size_t at_ = 0;
  const std::string name_;
};

}  // namespace hayate
