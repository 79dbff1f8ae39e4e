#include "hayate/base/oom.h"

#include "hayate/base/control_group.h"

namespace hayate {

int64_t CountOomKills() {
  for (const std::string& group : ControlGroups("")) {
    if (const auto count = ReadCounter(group + "/memory.events", "oom_kill")) return *count;
  }
  for (const std::string& group : ControlGroups("memory")) {
    if (const auto count = ReadCounter(group + "/memory.oom_control", "oom_kill")) return *count;
  }
  return ReadCounter("/proc/vmstat", "oom_kill").value_or(0);
}

}  // namespace hayate
