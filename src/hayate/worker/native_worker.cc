#include "hayate/worker/native_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "hayate/base/file.h"
#include "hayate/worker/channel.h"
#include "hayate/worker/native_tasks.h"

namespace hayate::worker {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t MaxRssBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t ThreadCount() {
  const auto threads = ListDirectory("/proc/self/task");
  return threads.ok() ? static_cast<int64_t>(threads->size()) : 1;
}

Json RunAndAnswer(const Json& task, int64_t id, Channel* channel) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu_before_s = CpuSeconds();
  ProgressSender progress(channel, id);
  const auto ended = RunNativeTask(task, &progress);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  Json answer = {{"task", id},
                 {"usage",
                  {{"cpu_s", CpuSeconds() - cpu_before_s},
                   {"wall_s", wall.count()},
                   {"user_cpu_s", 0.0},
                   {"user_wall_s", 0.0},
                   {"max_rss_bytes", MaxRssBytes()}}}};
  if (ended.ok()) {
    answer["type"] = "done";
    answer["result"] = ended->result;
    answer["warnings"] = ended->warnings;
  } else {
    answer["type"] = "failed";
    answer["error"] = ErrorToJson(ended.status());
  }
  return answer;
}

Status Serve(Channel* channel) {
  ARROW_RETURN_NOT_OK(channel->Send(
      {{"type", "hello"}, {"role", "native"}, {"pid", getpid()}, {"threads", ThreadCount()}}));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const std::optional<Json> message, channel->Receive());
    if (!message) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto type, Member<std::string>(*message, "type", "a message"));
    if (type == "exit") return Status::OK();
    if (type != "task") return Fail(Fault::kInternal, "a message of unknown type " + type);
    ARROW_ASSIGN_OR_RAISE(const auto id, Member<int64_t>(*message, "id", "a task"));
    ARROW_RETURN_NOT_OK(channel->Send(RunAndAnswer(*message, id, channel)));
  }
}

}  // namespace

int RunNativeWorker() {
  auto channel = Channel::FromEnvironment();
  const Status ended = channel.ok() ? Serve(&*channel) : channel.status();
  if (ended.ok()) return 0;
  std::fputs(FormatForUser(ended).c_str(), stderr);
  return ExitCodeOf(ended);
}

}  // namespace hayate::worker
