#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/ingest/csv_types.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// What a part's sidecar says of where it comes from: the object, the states of the types (a part
/// is kept only for the same ones), and the integers that have no exact double. `types`: null for
/// Parquet.
Json PartResume(const source::Object& object, const Json& states, const CsvTypes* types);

struct KeptPart {
  int64_t shard = 0;
  int64_t rows = 0;
};

/// Parts that an earlier run has finished in `dir` from the same objects with the same states. What
/// they know of inexact integers is noted in `types`.
Result<std::vector<KeptPart>> FindKeptParts(const std::string& dir,
                                            const std::vector<source::Object>& objects,
                                            const Json& states, CsvTypes* types);

}  // namespace hayate::ingest
