#pragma once

#include <cstdint>

namespace hayate {

/// How many processes the kernel has killed for want of memory: in this process's control group
/// (memory.events of v2, memory.oom_control of v1), or on the machine where neither can be read;
/// 0 where nothing tells. Only its growth means something.
int64_t CountOomKills();

}  // namespace hayate
