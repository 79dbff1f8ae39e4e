#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "hayate/base/status.h"

namespace hayate::python {

/// Raises `status` (not OK) as the class of hayate.errors for its fault, with the attributes what,
/// where and fix. The one place where a Status becomes a Python exception. Needs the GIL.
[[noreturn]] void Raise(const Status& status);

/// Raises what is not OK. Needs the GIL.
inline void Check(const Status& status) {
  if (!status.ok()) Raise(status);
}

/// The value, or the error raised. Needs the GIL.
template <typename T>
T Value(Result<T> result) {
  if (!result.ok()) Raise(result.status());
  return std::move(result).ValueUnsafe();
}

/// Runs `work`, which returns a Status or a Result and touches no Python object, without the GIL.
template <typename Work>
auto WithoutGil(Work&& work) {
  nanobind::gil_scoped_release release;
  return std::forward<Work>(work)();
}

}  // namespace hayate::python
