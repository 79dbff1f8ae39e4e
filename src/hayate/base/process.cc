#include "hayate/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>

namespace hayate {
namespace {

// Source descriptors are moved above these before any number is taken in the child.
constexpr int kFirstFreeDescriptor = 64;
constexpr int kMaxOomScore = 1000;

int ReadOomScore() {
  std::ifstream file("/proc/self/oom_score_adj");
  int score = 0;
  file >> score;
  return score;
}

std::vector<std::string> MergedEnvironment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> merged;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!extra.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : extra) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// All that the child needs, made before the fork: between fork and exec nothing may allocate.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<std::pair<int, int>> descriptors;
  const char* working_directory = nullptr;
  std::string oom_score;
  bool own_process_group = false;
  bool die_with_parent = false;
  pid_t parent = 0;
  int error_fd = -1;
};

[[noreturn]] void ReportAndLeave(const Prepared& prepared, int error_number) {
  const ssize_t written = write(prepared.error_fd, &error_number, sizeof(error_number));
  _exit(written == sizeof(error_number) ? 127 : 126);
}

void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void RaiseOomScore(const Prepared& prepared) {
  if (prepared.oom_score.empty()) return;
  // Some sandboxes refuse it; the child then is as likely to be killed as we are.
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t ignored = write(fd, prepared.oom_score.data(), prepared.oom_score.size());
  static_cast<void>(ignored);
  close(fd);
}

void PlaceDescriptors(Prepared& prepared) {
  // Two steps, so that no target number overwrites a source that is still needed.
  prepared.error_fd = fcntl(prepared.error_fd, F_DUPFD_CLOEXEC, kFirstFreeDescriptor);
  if (prepared.error_fd < 0) _exit(126);
  bool has_stdin = false;
  for (auto& [source, target] : prepared.descriptors) {
    source = fcntl(source, F_DUPFD_CLOEXEC, kFirstFreeDescriptor);
    if (source < 0) ReportAndLeave(prepared, errno);
    has_stdin = has_stdin || target == STDIN_FILENO;
  }
  for (const auto& [source, target] : prepared.descriptors) {
    if (dup2(source, target) < 0) ReportAndLeave(prepared, errno);
  }
  if (has_stdin) return;
  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0) ReportAndLeave(prepared, errno);
}

[[noreturn]] void RunChild(Prepared& prepared) {
  ResetSignals();
  if (prepared.own_process_group) setpgid(0, 0);
  if (prepared.die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) ReportAndLeave(prepared, errno);
    if (getppid() != prepared.parent) _exit(125);  // it died before we asked
  }
  RaiseOomScore(prepared);
  PlaceDescriptors(prepared);
  if (prepared.working_directory != nullptr && chdir(prepared.working_directory) != 0) {
    ReportAndLeave(prepared, errno);
  }
  execvpe(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  ReportAndLeave(prepared, errno);
}

// 0 when the exec went well: the pipe closes by itself then.
int ReadExecError(int fd) {
  int error_number = 0;
  ssize_t count = 0;
  do {
    count = read(fd, &error_number, sizeof(error_number));
  } while (count < 0 && errno == EINTR);
  return count == sizeof(error_number) ? error_number : 0;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

Result<FileDescriptor> OpenPidFd(pid_t pid) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return FailErrno(errno, "process " + std::to_string(pid) + " cannot be watched");
  return FileDescriptor(fd);
}

Result<Process> Spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return Fail(Fault::kInternal, "a program without a name is started");
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return FailErrno(errno, "a pipe cannot be made");
  const FileDescriptor error_read(pipe_fds[0]);
  FileDescriptor error_write(pipe_fds[1]);

  Prepared prepared;
  prepared.argv = Pointers(argv);
  prepared.environment = Pointers(environment);
  prepared.descriptors = options.descriptors;
  if (!options.working_directory.empty()) {
    prepared.working_directory = options.working_directory.c_str();
  }
  if (options.oom_score_raise > 0) {
    prepared.oom_score =
        std::to_string(std::min(kMaxOomScore, ReadOomScore() + options.oom_score_raise));
  }
  prepared.own_process_group = options.own_process_group;
  prepared.die_with_parent = options.die_with_parent;
  prepared.parent = getpid();
  prepared.error_fd = error_write.get();

  const pid_t pid = fork();
  if (pid < 0) return FailErrno(errno, "a process cannot be started");
  if (pid == 0) RunChild(prepared);
  // Also here: nobody may see the child outside its group.
  if (options.own_process_group) setpgid(pid, pid);
  error_write.Reset();
  if (const int error_number = ReadExecError(error_read.get()); error_number != 0) {
    ARROW_RETURN_NOT_OK(Reap(pid).status());
    return FailErrno(error_number, "a program cannot be started", {.object = argv[0]});
  }
  auto pidfd = OpenPidFd(pid);
  if (!pidfd.ok()) {
    kill(pid, SIGKILL);
    ARROW_RETURN_NOT_OK(Reap(pid).status());
    return pidfd.status();
  }
  return Process{pid, *std::move(pidfd)};
}

std::string ExitReport::ToString() const {
  if (signal == 0) return "left with exit code " + std::to_string(exit_code);
  const char* name = sigabbrev_np(signal);
  return "was killed by " +
         (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal));
}

Result<ExitReport> Reap(pid_t pid) {
  int status = 0;
  rusage usage{};
  pid_t got = -1;
  do {
    got = wait4(pid, &status, 0, &usage);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return FailErrno(errno, "process " + std::to_string(pid) + " cannot be waited for");
  ExitReport report;
  if (WIFSIGNALED(status)) {
    report.signal = WTERMSIG(status);
  } else {
    report.exit_code = WEXITSTATUS(status);
  }
  report.max_rss_bytes = static_cast<int64_t>(usage.ru_maxrss) * 1024;
  report.cpu_s = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  return report;
}

Result<std::optional<ExitReport>> ReapWithin(pid_t pid, int timeout_ms) {
  ARROW_ASSIGN_OR_RAISE(const auto pidfd, OpenPidFd(pid));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  pollfd watched{pidfd.get(), POLLIN, 0};
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const int ready = poll(&watched, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0) break;
    if (ready == 0) return std::nullopt;
    if (errno != EINTR) return FailErrno(errno, "a process cannot be watched");
  }
  ARROW_ASSIGN_OR_RAISE(ExitReport report, Reap(pid));
  return report;
}

pid_t PeekEndedChild() {
  siginfo_t info{};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return -1;
  return info.si_pid == 0 ? -1 : info.si_pid;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  const auto threads = ListDirectory(folder);
  if (!threads.ok()) return children;
  for (const std::string& thread : *threads) {
    std::ifstream file(folder + "/" + thread + "/children");
    pid_t child = 0;
    while (file >> child) children.push_back(child);
  }
  return children;
}

}  // namespace hayate
