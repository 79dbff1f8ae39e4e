#include "hayate/base/oom.h"

#include <fstream>
#include <optional>
#include <string>

namespace hayate {
namespace {

// The number after `name` in a file of "name number" lines.
std::optional<int64_t> ReadCounter(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  int64_t number = 0;
  while (file >> word >> number) {
    if (word == name) return number;
  }
  return std::nullopt;
}

// This process's group under v2 (controller empty) or under a v1 controller.
std::string GroupOf(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) == controller) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

int64_t CountOomKills() {
  const std::string root = "/sys/fs/cgroup";
  // In a container the mount is the group itself, whatever /proc says it is called.
  for (const std::string& group : {GroupOf(""), std::string()}) {
    if (const auto count = ReadCounter(root + group + "/memory.events", "oom_kill")) return *count;
  }
  for (const std::string& group : {GroupOf("memory"), std::string()}) {
    const std::string path = root + "/memory" + group + "/memory.oom_control";
    if (const auto count = ReadCounter(path, "oom_kill")) return *count;
  }
  return ReadCounter("/proc/vmstat", "oom_kill").value_or(0);
}

}  // namespace hayate
