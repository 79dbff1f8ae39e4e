#include "hayate/output/ordered_encoder.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace hayate::output {
namespace {

constexpr int64_t kPiecesPerThread = 2;

// Whoever finishes the piece that is next writes it, and what waits behind it.
class Pipeline {
 public:
  Pipeline(int64_t count, int64_t window, const std::function<Result<std::string>(int64_t)>& encode,
           const std::function<Status(const std::string&)>& write)
      : count_(count), window_(window), encode_(encode), write_(write) {}

  void Work() {
    for (int64_t index = Claim(); index >= 0; index = Claim()) {
      auto piece = encode_(index);
      std::unique_lock lock(mutex_);
      if (!piece.ok()) {
        Stop(piece.status());
        return;
      }
      encoded_.emplace(index, *std::move(piece));
      WriteReady(lock);
    }
  }

  Status status() const { return status_; }

 private:
  // The next piece to encode, when it may be begun; -1 when there is none.
  int64_t Claim() {
    std::unique_lock lock(mutex_);
    const int64_t index = claimed_;
    if (index >= count_) return -1;
    ++claimed_;
    changed_.wait(lock, [&] { return !status_.ok() || index < written_ + window_; });
    return status_.ok() ? index : -1;
  }

  void WriteReady(std::unique_lock<std::mutex>& lock) {
    while (!writing_ && status_.ok()) {
      const auto next = encoded_.find(written_);
      if (next == encoded_.end()) return;
      const std::string piece = std::move(next->second);
      encoded_.erase(next);
      writing_ = true;
      lock.unlock();
      Status status = write_(piece);
      lock.lock();
      writing_ = false;
      if (!status.ok()) Stop(std::move(status));
      ++written_;
      changed_.notify_all();
    }
  }

  void Stop(Status status) {
    if (status_.ok()) status_ = std::move(status);
    changed_.notify_all();
  }

  const int64_t count_;
  const int64_t window_;
  const std::function<Result<std::string>(int64_t)>& encode_;
  const std::function<Status(const std::string&)>& write_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, std::string> encoded_;
  int64_t claimed_ = 0;
  int64_t written_ = 0;
  bool writing_ = false;
  Status status_ = Status::OK();
};

}  // namespace

Status EncodeInOrder(int64_t count, int threads,
                     const std::function<Result<std::string>(int64_t)>& encode,
                     const std::function<Status(const std::string&)>& write) {
  const int64_t workers = std::clamp<int64_t>(count, 1, std::max(1, threads));
  Pipeline pipeline(count, workers * kPiecesPerThread, encode, write);
  {
    std::vector<std::jthread> others;
    for (int64_t i = 1; i < workers; ++i) others.emplace_back([&] { pipeline.Work(); });
    pipeline.Work();
  }
  return pipeline.status();
}

}  // namespace hayate::output
