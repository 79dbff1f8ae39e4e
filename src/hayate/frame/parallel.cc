#include "hayate/frame/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace hayate::frame {

Status ParallelFor(int64_t count, int threads, const std::function<Status(int64_t)>& body) {
  std::atomic<int64_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status first = Status::OK();
  int64_t first_index = count;
  const auto work = [&] {
    while (!failed) {
      const int64_t index = next++;
      if (index >= count) return;
      Status status = body(index);
      if (status.ok()) continue;
      failed = true;
      const std::lock_guard lock(mutex);
      if (index < first_index) {
        first_index = index;
        first = std::move(status);
      }
    }
  };
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i) others.emplace_back(work);
  work();
  others.clear();  // joins
  return first;
}

}  // namespace hayate::frame
