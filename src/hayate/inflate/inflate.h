#pragma once

#include <cstdint>
#include <memory>

#include "hayate/base/byte_stream.h"

namespace hayate::inflate {

struct InflateOptions {
  /// Compressed bytes handed to ISA-L at a time. Bounded because ISA-L before 2.32.1 overruns a
  /// buffer when avail_in comes near 4 GiB.
  int64_t input_window_bytes = 256 * 1024;
};

/// Text of a stream: gzip, zstd and bzip2 are recognised by their first bytes, not by the name;
/// anything else passes through as it is. Of gzip all members, empty members, extra header fields
/// and trailing zero padding are read (RFC 1952); a truncated, corrupt member, or one whose CRC-32
/// or length is wrong, is Fault::kInput naming the object and the compressed byte. Of zstd and
/// bzip2 all frames are read, with the same faults.
Result<std::unique_ptr<ByteStream>> MakeTextStream(std::unique_ptr<ByteStream> input,
                                                   InflateOptions options = {});

}  // namespace hayate::inflate
