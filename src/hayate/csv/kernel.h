#pragma once

#include <hwy/targets.h>  // not highway.h: foreach_target.h has to come before it

#include <cstdlib>
#include <string>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::csv {

/// One of several functions that do the same: compiled for a target of Highway, or "scalar", which
/// is the oracle of the others.
template <typename Function>
struct Kernel {
  const char* name;  ///< Highway's name of the target, or "scalar"
  Function* run;
};

/// Kernels that this machine can run, the best first and `scalar` last. `table`: HWY_DISPATCH_TABLE
/// of the function.
template <typename Function>
std::vector<Kernel<Function>> ListKernels(Function* const* table, Function* scalar) {
  std::vector<Kernel<Function>> kernels;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    size_t place = 0;
#if !HWY_IDE && ((HWY_TARGETS & (HWY_TARGETS - 1)) != 0)
    hwy::ChosenTarget chosen;
    chosen.Update(target);
    place = chosen.GetIndex();
#endif
    kernels.push_back({hwy::TargetName(target), table[place]});
  }
  kernels.push_back({"scalar", scalar});
  return kernels;
}

/// The first kernel, or the one that the environment variable HAYATE_FORCE_KERNEL names (for tests
/// and for telling a faulty kernel from a faulty file). Fault::kUsage: it names none of them.
template <typename Function>
Result<Kernel<Function>> ChooseKernel(const std::vector<Kernel<Function>>& kernels) {
  const char* const forced = std::getenv("HAYATE_FORCE_KERNEL");
  if (forced == nullptr || *forced == '\0') return kernels.front();
  std::string names;
  for (const Kernel<Function>& kernel : kernels) {
    if (std::string(forced) == kernel.name) return kernel;
    names += (names.empty() ? "" : ", ") + std::string(kernel.name);
  }
  return Fail(Fault::kUsage,
              "HAYATE_FORCE_KERNEL names \"" + std::string(forced) + "\", which cannot run here",
              {}, "Unset it, or use one of " + names + ".");
}

}  // namespace hayate::csv
