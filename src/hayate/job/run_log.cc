#include "hayate/job/run_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace hayate::job {

Result<std::unique_ptr<RunLog>> RunLog::Open(const std::string& path) {
  auto log = std::unique_ptr<RunLog>(new RunLog());
  log->path_ = path;
  log->fd_ = FileDescriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!log->fd_.valid()) return FailErrno(errno, "the log cannot be opened", {.object = path});
  return log;
}

void RunLog::Add(const worker::LogLine& line) {
  std::string who = line.stage.empty() ? "hayate" : line.stage;
  if (line.partition) who += "[" + std::to_string(*line.partition) + "]";
  Write(who, line.text);
}

void RunLog::Say(std::string_view text) { Write("hayate", text); }

void RunLog::Write(const std::string& who, std::string_view text) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 16> clock{};
  std::strftime(clock.data(), clock.size(), "%H:%M:%S ", &local);
  const std::string line = clock.data() + who + ": " + std::string(text) + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t count = write(fd_.get(), line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    done += static_cast<size_t>(count);
  }
}

}  // namespace hayate::job
