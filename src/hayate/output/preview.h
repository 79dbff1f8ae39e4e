#pragma once

#include <cstdint>
#include <string>

#include "hayate/base/status.h"
#include "hayate/frame/reader.h"

namespace hayate::output {

/// The first `rows` rows of a table frame as aligned text, a header line first; long cells are cut
/// at 40 characters, null is shown as "null".
Result<std::string> FormatFirstRows(const frame::FrameReader& frame, int64_t rows);

}  // namespace hayate::output
