#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/job/store.h"

namespace hayate::job {

struct Garbage {
  std::vector<std::string> dirs;  ///< of frames, finished or not
  std::vector<std::string> runs;
  int64_t bytes = 0;
};

/// What no run that counts needs. Those are, of each job, the newest `keep_runs` that ended well,
/// and as many that did not (their finished parts are what the next run goes on with); runs over
/// the very same frames count once. Of split copies only those of the newest run of a job that has
/// some are kept.
Result<Garbage> FindGarbage(const Store& store, int keep_runs);

/// Removes it. The lock has to be held.
Result<Garbage> CollectGarbage(const Store& store, int keep_runs);

}  // namespace hayate::job
