#include "hayate/observe/cpu_sampler.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace hayate::observe {
namespace {

constexpr std::chrono::milliseconds kInterval{500};

double Seconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double OwnSeconds() {
  rusage self{};
  rusage reaped{};
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &reaped);
  return Seconds(self) + Seconds(reaped);
}

// utime, stime, cutime and cstime of /proc/<pid>/stat (proc(5): fields 14 to 17); 0 when it is
// gone.
double ChildSeconds(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The second field is the program's name in brackets and may hold anything.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double total = 0;
  for (int field = 14; field <= 17; ++field) {
    double ticks = 0;
    if (fields >> ticks) total += ticks;
  }
  return total / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

CpuSampler::CpuSampler() : start_cpu_s_(OwnSeconds()), last_time_(Clock::now()) {}

double CpuSampler::CpuSeconds(const std::vector<int64_t>& children) const {
  double total = OwnSeconds() - start_cpu_s_;
  for (const int64_t pid : children) total += ChildSeconds(pid);
  return total;
}

double CpuSampler::CoresBusy(const std::vector<int64_t>& children) {
  const Clock::time_point now = Clock::now();
  if (now - last_time_ < kInterval) return cores_busy_;
  const double cpu_s = CpuSeconds(children);
  const std::chrono::duration<double> wall = now - last_time_;
  // A child that is dead but not reaped is in neither sum for a moment.
  cores_busy_ = std::max(0.0, (cpu_s - last_cpu_s_) / wall.count());
  last_cpu_s_ = std::max(last_cpu_s_, cpu_s);
  last_time_ = now;
  return cores_busy_;
}

}  // namespace hayate::observe
