#pragma once

#include <memory>

#include "hayate/base/byte_stream.h"
#include "hayate/inflate/inflate.h"
#include "hayate/inflate/input_window.h"

namespace hayate::inflate {

/// Text of the gzip members of `input`, whose first bytes already lie in `window`.
Result<std::unique_ptr<ByteStream>> MakeGzipStream(std::unique_ptr<ByteStream> input,
                                                   std::unique_ptr<InputWindow> window);

}  // namespace hayate::inflate
