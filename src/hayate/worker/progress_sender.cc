#include "hayate/worker/progress_sender.h"

#include <utility>

namespace hayate::worker {
namespace {

constexpr std::chrono::milliseconds kInterval{250};

}  // namespace

bool ProgressSender::Send(Json members) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (gone_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return true;
  next_ = now + kInterval;
  members["type"] = "progress";
  members["task"] = task_;
  gone_ = !channel_->Send(members).ok();
  return !gone_;
}

}  // namespace hayate::worker
