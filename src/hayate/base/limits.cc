#include "hayate/base/limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "hayate/base/control_group.h"

namespace hayate {
namespace {

double CoresOfCgroupV2() {
  double cores = std::numeric_limits<double>::infinity();
  for (const std::string& group : ControlGroups("")) {
    std::istringstream line(FirstLine(group + "/cpu.max"));
    double quota = 0;
    double period = 0;
    // "max 100000" leaves the stream failed: no limit.
    if (line >> quota >> period && quota > 0 && period > 0) cores = std::min(cores, quota / period);
  }
  return cores;
}

double CoresOfCgroupV1() {
  double cores = std::numeric_limits<double>::infinity();
  for (const std::string& group : ControlGroups("cpu")) {
    std::istringstream quota_line(FirstLine(group + "/cpu.cfs_quota_us"));
    std::istringstream period_line(FirstLine(group + "/cpu.cfs_period_us"));
    double quota = 0;
    double period = 0;
    if (quota_line >> quota && period_line >> period && quota > 0 && period > 0) {
      cores = std::min(cores, quota / period);
    }
  }
  return cores;
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

}  // namespace hayate
