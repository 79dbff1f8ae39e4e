#pragma once

#include <cstdint>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/ingest/ingest.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// Before anything is read: whether there are objects, and options that mean something.
Status CheckInput(const std::vector<source::Object>& objects, const IngestOptions& options);

/// Whether the objects are Parquet: as `format` says, or by what they begin with. Fault::kInput if
/// they are not all alike, or one is only named as Parquet.
Result<bool> AreParquet(const std::vector<source::Object>& objects, const std::string& format);

/// After the last row: whether there are as many as the caller wants.
Status CheckRows(int64_t rows, const std::vector<source::Object>& objects,
                 const IngestOptions& options);

}  // namespace hayate::ingest
