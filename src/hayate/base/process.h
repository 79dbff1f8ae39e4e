#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hayate/base/file.h"
#include "hayate/base/status.h"

namespace hayate {

/// How a child process is started.
struct SpawnOptions {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH unless it has a slash
  /// On top of this process's own environment.
  std::map<std::string, std::string> environment;
  /// Descriptor here → its number in the child. Everything else of ours is close-on-exec; standard
  /// input is /dev/null unless it is named.
  std::vector<std::pair<int, int>> descriptors;
  std::string working_directory;  ///< empty: ours
  bool own_process_group = true;  ///< ^C in a terminal then reaches us only
  bool die_with_parent = true;    ///< SIGKILL when the thread that spawned it ends
  int oom_score_raise = 0;        ///< added to ours: the kernel kills it before us
};

/// A started child. Has to be reaped.
struct Process {
  pid_t pid = -1;
  FileDescriptor pidfd;  ///< readable once the process has ended
};

/// Starts a program. The child has an empty signal mask and default signal actions. Returns after
/// its exec: a program that cannot be run is an error here, naming it.
Result<Process> Spawn(const SpawnOptions& options);

/// pidfd_open(2), close-on-exec.
Result<FileDescriptor> OpenPidFd(pid_t pid);

/// How a process ended and what it used, with what it had waited for itself.
struct ExitReport {
  int signal = 0;  ///< 0: it left by itself
  int exit_code = 0;
  int64_t max_rss_bytes = 0;
  double cpu_s = 0;

  bool clean() const { return signal == 0 && exit_code == 0; }
  /// "was killed by SIGKILL", "left with exit code 3".
  std::string ToString() const;
};

/// Waits for a child of this process and takes it off the process table.
Result<ExitReport> Reap(pid_t pid);

/// As Reap, but waits at most `timeout_ms`; nullopt: it has not ended by then.
Result<std::optional<ExitReport>> ReapWithin(pid_t pid, int timeout_ms);

/// The first child that has ended and was not reaped, without reaping it; −1 if there is none.
pid_t PeekEndedChild();

/// pids of a process's living and ended children, also adopted ones; none once it is gone.
std::vector<pid_t> ChildrenOf(pid_t pid);

}  // namespace hayate
