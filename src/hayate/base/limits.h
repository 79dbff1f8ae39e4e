#pragma once

#include <cstdint>

namespace hayate {

/// Cores this process may use: the least of sched_getaffinity, the cgroup's cpu.max (v2) or
/// cpu.cfs_quota (v1) of this group and of all above it, rounded up; at least 1.
int AvailableCores();

/// Bytes this process's control group may use: the least memory.max on the way up, or the
/// machine's memory where there is no limit.
int64_t MemoryLimitBytes();

}  // namespace hayate
