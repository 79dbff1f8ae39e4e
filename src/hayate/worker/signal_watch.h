#pragma once

#include <csignal>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/base/status.h"

namespace hayate::worker {

/// Turns SIGINT, SIGTERM and SIGHUP into something that can be polled: blocks them for this thread
/// (threads started later inherit that) until it is destroyed. A signal that is ignored (nohup)
/// stays ignored.
class SignalWatch {
 public:
  static Result<std::unique_ptr<SignalWatch>> Make();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// Readable when a signal has arrived.
  int fd() const { return fd_.get(); }
  /// The next signal that has arrived; 0 if none has. Does not block.
  int Take();

 private:
  SignalWatch() = default;
  FileDescriptor fd_;
  sigset_t before_{};
};

}  // namespace hayate::worker
