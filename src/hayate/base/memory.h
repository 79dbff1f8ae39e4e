#pragma once

#include <cstdint>
#include <string>

#include "hayate/base/control_group.h"

namespace hayate {

/// How much memory is in use, of how much there may be.
struct MemoryReading {
  int64_t used_bytes = 0;  ///< without what the kernel can take back at once (the page cache)
  int64_t limit_bytes = 0;
  /// Processes lose much of their time waiting for memory (PSI, where the kernel offers it).
  bool stalled = false;

  /// Used share of the limit; 0 where nothing is known.
  double share() const {
    return limit_bytes > 0 ? static_cast<double>(used_bytes) / static_cast<double>(limit_bytes) : 0;
  }
};

/// Of the control group, among this process's own and all above, that is nearest to its limit; of
/// the machine where no group has a limit below its memory. Mapped frames are page cache, of which
/// neither list counts: the kernel writes back or drops it before it kills.
MemoryReading ReadMemory(const KernelFiles& files = {});

/// "1.25 GiB".
std::string InGibibytes(int64_t bytes);

}  // namespace hayate
