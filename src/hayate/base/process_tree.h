#pragma once

#include <sys/types.h>

#include <cstdint>

namespace hayate {

/// What processes use at a moment.
struct ProcessUse {
  int64_t private_bytes = 0;  ///< resident memory that no file stands behind
  double cpu_s = 0;           ///< since they began, with the children that they have waited for
};

/// Of one process; zeros once it is gone.
ProcessUse UseOfProcess(pid_t pid);

/// Of a process and all its descendants. Pages that a fork shares count for each side.
ProcessUse UseOfTree(pid_t pid);

}  // namespace hayate
