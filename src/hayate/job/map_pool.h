#pragma once

#include <string>

#include "hayate/base/status.h"

namespace hayate::job {

/// Body of the hidden command `hayate pool`: answers `map` tasks over HAYATE_FD with a pool of
/// workers that lives on between them, until the other side is gone (docs/formats/protocol.md). To
/// be called by the process's first thread. SIGINT is the script's own affair and ignored.
Status RunMapPool(const std::string& python);

}  // namespace hayate::job
