// inflate_floor LIST: the text of every gzip file that LIST names, a path a line, inflated on every
// core and thrown away: the least that any reader can take. Prints text bytes, seconds and CPU
// seconds as JSON.

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "hayate/base/limits.h"
#include "hayate/inflate/inflate.h"
#include "hayate/source/source.h"

namespace hayate {
namespace {

constexpr size_t kWindowBytes = 256 * 1024;

Result<int64_t> Inflate(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, source::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto text, inflate::MakeTextStream(std::move(bytes)));
  std::vector<uint8_t> window(kWindowBytes);
  int64_t total = 0;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, text->Read(window));
    if (n == 0) return total;
    total += n;
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

int Run(const char* list) {
  std::vector<std::string> paths;
  std::ifstream file(list);
  for (std::string line; std::getline(file, line);) paths.push_back(line);
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> total = 0;
  std::atomic<bool> failed = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < AvailableCores(); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < paths.size(); at = next++) {
        const auto bytes = Inflate(paths[at]);
        if (bytes.ok()) {
          total += *bytes;
        } else {
          failed = true;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("{\"text_bytes\": %lld, \"wall_s\": %.4f, \"cpu_s\": %.4f}\n",
              static_cast<long long>(total.load()), seconds.count(), CpuSeconds());
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace hayate

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: inflate_floor LIST\n", stderr);
    return 2;
  }
  return hayate::Run(argv[1]);
}
