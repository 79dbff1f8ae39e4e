#pragma once

#include <string>

#include "hayate/base/status.h"
#include "hayate/job/store.h"

namespace hayate::cli {

/// The folder of a frame that a person named: a folder that holds one, or the name of a frame in
/// the store, of which the newest is meant ("clicks", "clicks-0123456789abcdef"). Fault::kUsage
/// lists the names.
Result<std::string> FindFrame(const job::Store& store, const std::string& name);

}  // namespace hayate::cli
