#pragma once

#include <string>

#include "hayate/base/json.h"

namespace hayate::job {

/// Why a node has another key than the frame of its name that is there: one line out of their
/// key_parts, the most telling difference first ("code of features() changed", "parameter day:
/// 2026-11-23 → 2026-11-24", "file clicks-0003.csv.gz changed"). Empty where they are equal.
std::string DescribeDifference(const Json& before, const Json& now);

}  // namespace hayate::job
