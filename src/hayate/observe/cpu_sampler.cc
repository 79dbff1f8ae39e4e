#include "hayate/observe/cpu_sampler.h"

#include <sys/resource.h>

#include <algorithm>

#include "hayate/base/process_tree.h"

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

}  // namespace

CpuSampler::CpuSampler() : start_cpu_s_(OwnSeconds()), last_time_(Clock::now()) {}

double CpuSampler::CpuSeconds(const std::vector<int64_t>& children) const {
  double total = OwnSeconds() - start_cpu_s_;
  for (const int64_t pid : children) total += UseOfProcess(static_cast<pid_t>(pid)).cpu_s;
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
