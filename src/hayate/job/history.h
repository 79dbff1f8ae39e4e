#pragma once

#include <map>
#include <string>

#include "hayate/base/status.h"
#include "hayate/job/run_record.h"

namespace hayate::job {

/// Adds a run that has ended, with its stages and tasks, to the database at `path`, made if it is
/// not there. History only: nothing that decides what runs is read from it, and it may be deleted.
Status AddToHistory(const std::string& path, const RunRecord& record);

/// Wall seconds that each stage of the job took when it last ran whole. Empty without a history.
Result<std::map<std::string, double>> LastSeconds(const std::string& path, const std::string& job);

}  // namespace hayate::job
