#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "hayate/base/json.h"
#include "hayate/worker/channel.h"

namespace hayate::worker {

/// Sends the `progress` of one task, at most 4 times a second. Any number of threads.
class ProgressSender {
 public:
  ProgressSender(Channel* channel, int64_t task) : channel_(channel), task_(task) {}

  /// `members` are completed with `type` and `task`. False once the supervisor is gone: the task
  /// should stop.
  bool Send(Json members);

 private:
  Channel* channel_;
  int64_t task_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_{};
  bool gone_ = false;
};

}  // namespace hayate::worker
