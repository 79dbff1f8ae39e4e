#pragma once

#include <functional>
#include <string>

#include "hayate/base/file.h"
#include "hayate/base/status.h"

namespace hayate::job {

/// The right to write to a store: flock(2) on its file `lock`, gone with the process.
class StoreLock {
 public:
  /// Takes the lock. Held by another: with `wait`, calls `on_wait` with what is known of the holder
  /// ("process 812, since 03:00:12"), then waits until it is free; SIGINT, SIGTERM and SIGHUP
  /// end the waiting with Fault::kInterrupted and set `*signal`. Without, Fault::kBusy.
  static Result<StoreLock> Take(const std::string& path, bool wait,
                                const std::function<void(const std::string&)>& on_wait,
                                int* signal);

 private:
  explicit StoreLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace hayate::job
