#pragma once

namespace hayate {

/// Cores this process may use: the least of sched_getaffinity, the cgroup's cpu.max (v2) or
/// cpu.cfs_quota (v1) of this group and of all above it, rounded up; at least 1.
int AvailableCores();

}  // namespace hayate
