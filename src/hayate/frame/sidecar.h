#pragma once

#include <string>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// Makes `part` exist: writes `part-00007.json` beside it, atomically, without waiting for the
/// disk. It carries the boot id of the machine: what was not yet on the disk when the power went is
/// then known by its checksum.
Status WriteSidecar(const std::string& dir, const Part& part);

/// Makes the part of that number not exist, before its file is replaced.
Status RemoveSidecar(const std::string& dir, int64_t number);

/// Identifies the running kernel's boot; empty where the system does not say.
std::string BootId();

}  // namespace hayate::frame
