// A child for the pool's tests: speaks the protocol in place of any real one, and misbehaves when
// its task says so.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "hayate/worker/channel.h"

namespace hayate::worker {
namespace {

std::string TypeOf(const Json& message) {
  return Member<std::string>(message, "type", "a message").ValueOr("");
}

[[noreturn]] void SleepForEver() {
  while (true) pause();
}

// Starts a process that ignores what a good one would heed, and says its pid.
int64_t StartStray(bool own_session) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  if (own_session) setsid();
  SleepForEver();
}

// What keeps a worker from being a good one. Returns only if it goes on.
void Misbehave(const std::string& how) {
  if (how == "kill") kill(getpid(), SIGKILL);
  if (how == "abort") abort();
  if (how == "leave") _exit(3);
  if (how == "hang") SleepForEver();
  if (how == "deaf") {
    close(std::atoi(getenv("HAYATE_FD")));
    SleepForEver();
  }
  if (how == "garbage") {
    const char garbage[] = "\x05\0\0\0{{{{{";
    if (write(std::atoi(getenv("HAYATE_FD")), garbage, sizeof(garbage) - 1) < 0) _exit(4);
    SleepForEver();
  }
  if (how == "oversized") {
    const char length[] = "\xff\xff\xff\xff";
    if (write(std::atoi(getenv("HAYATE_FD")), length, sizeof(length) - 1) < 0) _exit(4);
    SleepForEver();
  }
  if (how == "flood") {
    const std::string line(100, 'x');
    for (int i = 0; i < 20'000; ++i) std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
}

Json ResultOf(const std::string& how) {
  Json result = {{"pid", getpid()}, {"group", getpgid(0)}, {"parent", getppid()}};
  const char* threads = getenv("OMP_NUM_THREADS");
  result["omp"] = threads == nullptr ? "" : threads;
  if (how == "child") result["stray"] = StartStray(false);
  if (how == "daemon") result["stray"] = StartStray(true);
  return result;
}

int Run(const std::string& program) {
  auto channel = Channel::FromEnvironment();
  if (!channel.ok()) return 2;
  if (getenv("FAKE_SILENT") != nullptr) SleepForEver();
  if (getenv("FAKE_CRASH") != nullptr) {
    std::fprintf(stderr, "no module named hayate\n");
    return 1;
  }
  const bool threaded = getenv("FAKE_THREADED") != nullptr && program == "hayate.zygote";
  if (!channel
           ->Send({{"type", "hello"},
                   {"role", program},
                   {"pid", getpid()},
                   {"threads", threaded ? 5 : 1}})
           .ok()) {
    return 2;
  }
  bool stubborn = false;
  while (true) {
    const auto message = channel->Receive();
    if (!message.ok() || !*message || TypeOf(**message) == "exit") {
      if (stubborn) SleepForEver();
      return 0;
    }
    const Json& task = **message;
    if (TypeOf(task) == "prepare") {
      std::printf("prepares %s\n", task["stage"].get<std::string>().c_str());
      std::fflush(stdout);
      continue;
    }
    const std::string how = Member<std::string>(task, "how", "a task").ValueOr("");
    std::printf("task %d: %s\n", task["id"].get<int>(), how.c_str());
    std::fflush(stdout);
    if (how == "progress") {
      if (!channel->Send({{"type", "progress"}, {"task", task["id"]}, {"rows", 7}}).ok()) return 2;
    }
    Misbehave(how);
    stubborn = stubborn || how == "stubborn";
    Json answer = {{"type", "done"}, {"task", task["id"]}, {"result", ResultOf(how)}};
    if (how == "fail") {
      answer = {{"type", "failed"}, {"task", task["id"]}};
      answer["error"] = {{"fault", "user_code"},
                         {"what", "ValueError: no"},
                         {"where", {{"line", 12}}},
                         {"traceback", "line 12"}};
    }
    if (how == "strange") answer["type"] = "strange";
    if (!channel->Send(answer).ok()) return 2;
  }
}

}  // namespace
}  // namespace hayate::worker

int main(int argc, char** argv) {
  // "fake worker --native" or "python -P -m hayate.<what>".
  const std::string program = argc > 3 ? argv[3] : "native";
  return hayate::worker::Run(program);
}
