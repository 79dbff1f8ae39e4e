#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/csv/options.h"
#include "hayate/ingest/csv_types.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// What the parts of one pass have in common: a part is kept only where all of it is the same.
struct PassState {
  std::string options;        ///< digest of those that bear on values (OptionsDigest)
  Json states;                ///< of the types
  CsvTypes* types = nullptr;  ///< null for Parquet
  Rejected* rejected = nullptr;
};

/// Of the options that bear on what is read, and not on how.
std::string OptionsDigest(const csv::ReadOptions& options);

/// What a part's sidecar says of where it comes from: the object, the state of the pass, the
/// integers that have no exact double, and what could not be read.
Json PartResume(const std::vector<source::Object>& objects, int64_t shard, const PassState& pass);

struct KeptPart {
  int64_t shard = 0;
  int64_t rows = 0;
};

/// Parts that an earlier run has finished in `dir` from the same objects in the same state, of the
/// shards that may be kept. What
/// they know of inexact integers is noted in the types, and what they lack is counted.
Result<std::vector<KeptPart>> FindKeptParts(const std::string& dir,
                                            const std::vector<source::Object>& objects,
                                            const PassState& pass,
                                            const std::function<bool(int64_t shard)>& may_keep);

}  // namespace hayate::ingest
