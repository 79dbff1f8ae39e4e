#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <utility>

#include "hayate/base/status.h"

namespace hayate::python {

using StopFlag = std::atomic<bool>;

/// Runs `work` on a thread of its own, without the GIL, while this one lets Python handle its
/// signals some times a second, and calls `look` with the GIL, at the end too: ^C ends a long read.
/// When a handler or `look` raises, the flag is set, `interrupt` is called, the end of `work` is
/// awaited, and the exception goes on. `work` must look at the flag, or end by what `interrupt`
/// does.
template <typename T, typename Work, typename Look, typename Interrupt>
Result<T> RunInterruptible(Work work, Look look, Interrupt interrupt) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(50);
  StopFlag stop = false;
  auto running = std::async(std::launch::async, [&] { return work(stop); });
  std::exception_ptr raised;
  while (true) {
    {
      nanobind::gil_scoped_release release;
      if (raised != nullptr) {
        running.wait();
      } else {
        running.wait_for(kBetweenLooks);
      }
    }
    if (raised != nullptr) std::rethrow_exception(raised);
    const bool ended = running.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    try {
      if (!ended && PyErr_CheckSignals() != 0) throw nanobind::python_error();
      look();
    } catch (...) {
      raised = std::current_exception();
      stop = true;
      interrupt();
      continue;
    }
    if (ended) return running.get();
  }
}

template <typename T, typename Work, typename Look>
Result<T> RunInterruptible(Work work, Look look) {
  return RunInterruptible<T>(std::move(work), std::move(look), [] {});
}

template <typename T, typename Work>
Result<T> RunInterruptible(Work work) {
  return RunInterruptible<T>(std::move(work), [] {});
}

}  // namespace hayate::python
