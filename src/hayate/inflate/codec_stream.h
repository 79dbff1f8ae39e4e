#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "hayate/base/byte_stream.h"
#include "hayate/inflate/input_window.h"

namespace hayate::inflate {

/// Formats that Arrow's codecs read.
enum class CodecFormat { kZstd, kBzip2 };

/// Bytes by which FindCodecFormat tells.
inline constexpr size_t kCodecMagicBytes = 10;

/// What a stream that starts so is, if it is one of these.
std::optional<CodecFormat> FindCodecFormat(std::span<const uint8_t> start);

/// Text of the frames (streams, in bzip2) of `input`, whose first bytes already lie in `window`.
/// Fault::kUsage: this Arrow was built without the codec.
Result<std::unique_ptr<ByteStream>> MakeCodecStream(CodecFormat format,
                                                    std::unique_ptr<ByteStream> input,
                                                    std::unique_ptr<InputWindow> window);

}  // namespace hayate::inflate
