#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <future>
#include <utility>

#include "hayate/base/status.h"

namespace hayate::python {

using StopFlag = std::atomic<bool>;

/// Runs `work` on a thread of its own, without the GIL, while this one lets Python handle its
/// signals some times a second: ^C ends a long read. When a handler raises, the flag is set, the
/// end of `work` is awaited, and the handler's exception goes on. `work` must look at the flag.
template <typename T, typename Work>
Result<T> RunInterruptible(Work work) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(50);
  StopFlag stop = false;
  auto running = std::async(std::launch::async, [&] { return work(stop); });
  bool raised = false;
  while (true) {
    {
      nanobind::gil_scoped_release release;
      if (raised) {
        running.wait();
      } else {
        running.wait_for(kBetweenLooks);
      }
    }
    if (raised) throw nanobind::python_error();
    if (running.wait_for(std::chrono::seconds(0)) == std::future_status::ready)
      return running.get();
    if (PyErr_CheckSignals() != 0) {
      raised = true;
      stop = true;
    }
  }
}

}  // namespace hayate::python
