#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace hayate::observe {

/// CPU time of this process and the given children, with all that they have waited for.
class CpuSampler {
 public:
  using Clock = std::chrono::steady_clock;

  CpuSampler();

  /// CPU seconds since the sampler was made. `children` are those alive now; ended ones count once
  /// they are reaped.
  double CpuSeconds(const std::vector<int64_t>& children) const;

  /// Cores busy on average since the last call that answered; the same answer again within half a
  /// second. 0 before the first half second.
  double CoresBusy(const std::vector<int64_t>& children);

 private:
  double start_cpu_s_ = 0;
  Clock::time_point last_time_;
  double last_cpu_s_ = 0;
  double cores_busy_ = 0;
};

}  // namespace hayate::observe
