#include "hayate/base/limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace hayate {
namespace {

constexpr const char* kCgroupRoot = "/sys/fs/cgroup";

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// This process's group under cgroup v2, or under the v1 `controller`, as a path below the mount.
// In a container the mount usually is the group itself, and "/" is right.
std::string GroupPath(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controller.empty() && controllers == ",,";
    const bool v1 =
        !controller.empty() && controllers.find("," + controller + ",") != std::string::npos;
    if (v1 || v2) return line.substr(second + 1);
  }
  return "/";
}

// Calls visit(directory) for this group and all above it.
template <typename Visit>
void ForEachGroup(const std::string& mount, const std::string& controller, Visit visit) {
  std::string group = GroupPath(controller);
  while (true) {
    visit(mount + (group == "/" ? "" : group));
    if (group.empty() || group == "/") return;
    const auto slash = group.find_last_of('/');
    group = slash == std::string::npos || slash == 0 ? "/" : group.substr(0, slash);
  }
}

double CoresOfCgroupV2() {
  double cores = std::numeric_limits<double>::infinity();
  ForEachGroup(kCgroupRoot, "", [&cores](const std::string& directory) {
    std::istringstream line(FirstLine(directory + "/cpu.max"));
    double quota = 0;
    double period = 0;
    // "max 100000" leaves the stream failed: no limit.
    if (line >> quota >> period && quota > 0 && period > 0) cores = std::min(cores, quota / period);
  });
  return cores;
}

double CoresOfCgroupV1() {
  double cores = std::numeric_limits<double>::infinity();
  ForEachGroup(std::string(kCgroupRoot) + "/cpu", "cpu", [&cores](const std::string& directory) {
    std::istringstream quota_line(FirstLine(directory + "/cpu.cfs_quota_us"));
    std::istringstream period_line(FirstLine(directory + "/cpu.cfs_period_us"));
    double quota = 0;
    double period = 0;
    if (quota_line >> quota && period_line >> period && quota > 0 && period > 0) {
      cores = std::min(cores, quota / period);
    }
  });
  return cores;
}

int64_t LeastBytes(const std::string& mount, const std::string& controller, const char* file,
                   int64_t least) {
  ForEachGroup(mount, controller, [&](const std::string& directory) {
    std::istringstream line(FirstLine(directory + "/" + file));
    int64_t bytes = 0;
    if (line >> bytes && bytes > 0) least = std::min(least, bytes);
  });
  return least;
}

}  // namespace

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  double cores = sched_getaffinity(0, sizeof(set), &set) == 0
                     ? CPU_COUNT(&set)
                     : static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  cores = std::min({cores, CoresOfCgroupV2(), CoresOfCgroupV1()});
  return std::max(1, static_cast<int>(std::ceil(cores)));
}

int64_t MemoryLimitBytes() {
  const int64_t machine =
      static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGE_SIZE));
  const int64_t v2 = LeastBytes(kCgroupRoot, "", "memory.max", machine);
  return LeastBytes(std::string(kCgroupRoot) + "/memory", "memory", "memory.limit_in_bytes", v2);
}

}  // namespace hayate
