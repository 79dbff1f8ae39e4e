#include "hayate/worker/child.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "hayate/base/memory.h"

namespace hayate::worker {
namespace {

constexpr int kChildSocket = 3;
constexpr int kOomScoreRaise = 500;
// A child that reads nothing for so long is broken; see Channel::Send.
constexpr int kSendTimeoutSeconds = 10;

// What the numeric libraries read once, when they are loaded.
constexpr std::array<const char*, 10> kThreadVariables = {
    "OMP_NUM_THREADS",     "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",   "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS",  "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",   "LOKY_MAX_CPU_COUNT"};

const char* ModuleOf(Child::Role role) {
  switch (role) {
    case Child::Role::kPlanner:
      return "hayate.planner";
    case Child::Role::kZygote:
      return "hayate.zygote";
    default:
      return "hayate.worker";
  }
}

std::vector<std::string> CommandOf(Child::Role role, const PoolOptions& options) {
  if (role == Child::Role::kNative) return {options.self, "worker", "--native"};
  // -P: the working directory is not searched for modules.
  std::vector<std::string> command = {options.python, "-P", "-m", ModuleOf(role)};
  if (role == Child::Role::kZygote) {
    command.insert(command.end(), options.preload.begin(), options.preload.end());
  }
  return command;
}

std::map<std::string, std::string> EnvironmentOf(Child::Role role, int threads,
                                                 const PoolOptions& options) {
  std::map<std::string, std::string> environment = options.environment;
  environment["HAYATE_FD"] = std::to_string(kChildSocket);
  if (role == Child::Role::kNative) return environment;
  // What is printed reaches the log at once and survives a kill; a crash in a library prints the
  // user's line.
  environment["PYTHONUNBUFFERED"] = "1";
  environment["PYTHONFAULTHANDLER"] = "1";
  for (const char* name : kThreadVariables) environment[name] = std::to_string(threads);
  if (role == Child::Role::kZygote) {
    // Arrow's jemalloc would start a thread, and a process with threads cannot be forked.
    environment["JE_ARROW_MALLOC_CONF"] = "background_thread:false";
  }
  return environment;
}

std::string RemedyOfExit(Child::Role role) {
  switch (role) {
    case Child::Role::kNative:
      return "Run the same command again: it goes on. If it ends so again, report it with the "
             "run's "
             "log.";
    case Child::Role::kPlanner:
      return "Check that this Python can import hayate (HAYATE_PYTHON, else python3 of PATH), and "
             "that the job file does not end the process when it is imported.";
    default:
      return "Let the stage return instead of ending the process (os._exit, a library's abort).";
  }
}

std::string RemedyOf(const Child& child, const ExitReport& report, bool out_of_memory) {
  if (!child.kill_remedy.empty()) return child.kill_remedy;
  if (!child.kill_reason.empty()) {
    return "Run the same command again: it goes on. If it ends so again, what it printed last is "
           "in "
           "the run's log.";
  }
  if (out_of_memory) {
    return "Give the run more memory, run fewer tasks at once (-j), or split the stage further.";
  }
  switch (report.signal) {
    case 0:
      return RemedyOfExit(child.role);
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT:
      return "A library that the stage uses crashed; its last lines, if any, are below and in the "
             "run's log.";
    default:
      return "Find out who ended it: dmesg tells of the kernel's reasons.";
  }
}

}  // namespace

Result<Assignment> ParseAssignment(Json task) {
  Assignment assignment;
  ARROW_ASSIGN_OR_RAISE(assignment.id, Member<int64_t>(task, "id", "a task"));
  ARROW_RETURN_NOT_OK(Member<std::string>(task, "kind", "a task").status());
  assignment.stage = Member<std::string>(task, "stage", "a task").ValueOr("");
  if (const auto number = Member<int64_t>(task, "partition", "a task"); number.ok()) {
    assignment.partition = *number;
  }
  assignment.threads = Member<int>(task, "threads", "a task").ValueOr(1);
  task["type"] = "task";
  assignment.message = std::move(task);
  return assignment;
}

std::string Child::Name() const {
  switch (role) {
    case Role::kNative:
      return "a native worker";
    case Role::kPlanner:
      return "the planner";
    case Role::kZygote:
      return "the zygote";
    default:
      return "a Python worker";
  }
}

void Child::SetDeadline(int milliseconds, std::string reason) {
  deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
  deadline_reason = std::move(reason);
}

void Child::Assign(Assignment assignment) {
  last_word = Clock::now();
  preparation = Json();
  stage = assignment.stage;
  partition = assignment.partition;
  last_lines.clear();
  task = std::move(assignment);
}

Result<ChildPipes> MakeChildPipes() {
  ChildPipes pipes;
  ARROW_ASSIGN_OR_RAISE(auto pair, Channel::Pair());
  pipes.ours = std::move(pair.first);
  pipes.theirs = std::move(pair.second);
  const timeval timeout{kSendTimeoutSeconds, 0};
  if (setsockopt(pipes.ours.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0) {
    return FailErrno(errno, "a socket cannot be set up");
  }
  int log[2];
  if (pipe2(log, O_CLOEXEC) != 0) return FailErrno(errno, "a pipe cannot be made");
  pipes.log_read = FileDescriptor(log[0]);
  pipes.log_write = FileDescriptor(log[1]);
  // Only our end: a child's print must wait for room, not fail.
  if (fcntl(log[0], F_SETFL, O_NONBLOCK) != 0) return FailErrno(errno, "a pipe cannot be set up");
  return pipes;
}

namespace {

Status SpawnInto(Child* child, Child::Role program, int threads, const PoolOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ChildPipes pipes, MakeChildPipes());
  SpawnOptions spawn;
  spawn.argv = CommandOf(program, options);
  spawn.environment = EnvironmentOf(program, threads, options);
  spawn.descriptors = {{pipes.log_write.get(), STDOUT_FILENO},
                       {pipes.log_write.get(), STDERR_FILENO},
                       {pipes.theirs.fd(), kChildSocket}};
  spawn.working_directory = options.working_directory;
  spawn.oom_score_raise = kOomScoreRaise;
  ARROW_ASSIGN_OR_RAISE(Process process, Spawn(spawn));
  child->pid = process.pid;
  child->pidfd = std::move(process.pidfd);
  child->channel = std::move(pipes.ours);
  child->socket_open = true;
  child->log = std::move(pipes.log_read);
  child->state = Child::State::kStarting;
  child->SetDeadline(options.hello_timeout_ms, "was not ready in time");
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<Child>> StartChild(Child::Role role, int threads,
                                          const PoolOptions& options) {
  auto child = std::make_unique<Child>();
  child->role = role;
  child->threads = threads;
  ARROW_RETURN_NOT_OK(SpawnInto(child.get(), role, threads, options));
  return child;
}

Status StartInsteadOfFork(Child* child, const PoolOptions& options) {
  return SpawnInto(child, Child::Role::kExec, 1, options);
}

Event DiedEvent(const Child& child, const ExitReport& report, bool out_of_memory) {
  Event event;
  event.kind = Event::Kind::kDied;
  event.task = child.task->id;
  event.body = {{"pid", child.pid},
                {"max_rss_bytes", report.max_rss_bytes},
                {"cpu_s", report.cpu_s},
                {"out_of_memory", out_of_memory}};
  if (report.signal != 0) {
    event.body["signal"] = report.signal;
  } else {
    event.body["exit_code"] = report.exit_code;
  }
  std::string what = child.Name();
  if (!child.kill_reason.empty()) {
    what += " " + child.kill_reason + " and was ended";
  } else {
    what += " " + report.ToString();
  }
  if (out_of_memory) what += " because memory ran out";
  what += "; it held at most " + InGibibytes(report.max_rss_bytes);
  std::string lines;
  for (const std::string& line : child.last_lines) lines += line + "\n";
  if (!lines.empty()) lines = "Its last lines:\n" + lines;
  event.status = Fail(Fault::kWorkerDied, std::move(what))
                     .WithDetail(std::make_shared<FaultDetail>(
                         Fault::kWorkerDied,
                         Where{.stage = child.task->stage, .partition = child.task->partition},
                         RemedyOf(child, report, out_of_memory), std::move(lines)));
  return event;
}

}  // namespace hayate::worker
