#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "hayate/base/status.h"
#include "hayate/frame/reader.h"

namespace hayate::frame {

/// Writes all rows of a table frame as one record batch into the Arrow file `path` (atomically, not
/// synced). First Arrow lays the file out, then `threads` copy the data from the parts' mappings
/// straight to its place: nothing but bitmaps and nested columns is held in memory. Strings become
/// large_string; dictionaries are merged. `footer` goes into the file's footer.
Status WriteWhole(const FrameReader& frame, const std::string& path, int threads,
                  const std::shared_ptr<const arrow::KeyValueMetadata>& footer);

}  // namespace hayate::frame
