#pragma once

#include <string>

#include "hayate/job/run_record.h"

namespace hayate::job {

/// What a person reads at the end of a run: a line for each node (tasks, seconds, CPU, rows), each
/// file, small values that stages returned, and the whole time. Ends with a newline.
std::string FormatSummary(const RunRecord& record);

}  // namespace hayate::job
