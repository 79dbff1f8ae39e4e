#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hayate/base/status.h"

namespace hayate {

/// Bytes in order, pulled by one thread: a file, an object, or the text inside a gzip member.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// Fills `out` from its start and returns how many bytes were written. Less than out.size() may
  /// be returned at any time; 0 means the end, and only then. Errors name the object and the byte.
  virtual Result<int64_t> Read(std::span<uint8_t> out) = 0;

  /// What errors call this stream: the path or URI it came from.
  virtual const std::string& name() const = 0;
};

}  // namespace hayate
