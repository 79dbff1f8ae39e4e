// fetch_alone ENDPOINT PREFIX: the objects under a gs:// prefix, fetched as an export's are and
// thrown away: what fetching takes without decoding. Prints seconds, CPU seconds, bytes and retries
// as JSON, and how many bytes had come and how many connections were allowed every quarter of a
// second.

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hayate/base/limits.h"
#include "hayate/cloud/fetcher.h"
#include "hayate/cloud/storage.h"

namespace hayate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kWindowBytes = 256 * 1024;
constexpr std::chrono::milliseconds kSample{250};

Status ReadAll(cloud::Fetcher* fetcher, const source::Object& object) {
  ARROW_ASSIGN_OR_RAISE(const auto stream, fetcher->Open(object));
  std::vector<uint8_t> window(kWindowBytes);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(window));
    if (n == 0) return Status::OK();
  }
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Says from time to time how far a fetcher is.
class Sampler {
 public:
  Sampler(const cloud::Fetcher* fetcher, Clock::time_point begin)
      : fetcher_(fetcher), begin_(begin), thread_([this] { Work(); }) {}

  std::string Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
    return "[" + text_ + "]";
  }

 private:
  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!changed_.wait_for(lock, kSample, [this] { return stopped_; })) {
      const std::chrono::duration<double> at = Clock::now() - begin_;
      char sample[96];
      std::snprintf(sample, sizeof(sample), "%s[%.3f, %lld, %d]", text_.empty() ? "" : ", ",
                    at.count(), static_cast<long long>(fetcher_->bytes_received()),
                    fetcher_->connections());
      text_ += sample;
    }
  }

  const cloud::Fetcher* const fetcher_;
  const Clock::time_point begin_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::string text_;
  std::thread thread_;
};

Status Run(const std::string& endpoint, const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(const auto storage, cloud::CloudStorage::Make({.endpoint = endpoint}));
  const auto begin = Clock::now();
  ARROW_ASSIGN_OR_RAISE(const auto objects, storage->List(prefix));
  cloud::Fetcher fetcher(storage.get(), {});
  for (const source::Object& object : objects) fetcher.Plan(object);
  Sampler sampler(&fetcher, begin);
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status failed;
  std::vector<std::thread> threads;
  for (int i = 0; i < AvailableCores(); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < objects.size(); at = next++) {
        const Status read = ReadAll(&fetcher, objects[at]);
        if (read.ok()) continue;
        const std::lock_guard<std::mutex> lock(mutex);
        failed = read;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = Clock::now() - begin;
  const std::string samples = sampler.Stop();
  ARROW_RETURN_NOT_OK(failed);
  std::printf(
      "{\"wall_s\": %.4f, \"cpu_s\": %.4f, \"bytes\": %lld, \"retries\": %lld, \"samples\": %s}\n",
      seconds.count(), CpuSeconds(), static_cast<long long>(fetcher.bytes_received()),
      static_cast<long long>(storage->retries()), samples.c_str());
  return Status::OK();
}

}  // namespace
}  // namespace hayate

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: fetch_alone ENDPOINT PREFIX\n", stderr);
    return 2;
  }
  const hayate::Status status = hayate::Run(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "fetch_alone: %s\n", status.ToString().c_str());
  return 1;
}
