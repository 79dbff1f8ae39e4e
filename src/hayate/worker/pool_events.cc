#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <utility>

#include "hayate/base/oom.h"
#include "hayate/worker/worker_pool_impl.h"

namespace hayate::worker {
namespace {

constexpr size_t kLastLines = 20;
// A process that outlived its worker may write for ever; what came first is kept.
constexpr int64_t kLogBytesAfterDeath = 16 * 1024 * 1024;

}  // namespace

void WorkerPool::Impl::Say(const Child* about, std::string_view text) const {
  LogLine line;
  line.text = text;
  if (about != nullptr) {
    line.stage = about->stage;
    line.partition = about->partition;
  }
  if (options_.on_log) {
    options_.on_log(line);
  } else {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  }
}

void WorkerPool::Impl::ReadLog(Child* child, int64_t most_bytes) {
  const LineSplitter::Sink sink = [&](std::string_view text) {
    child->last_word = Clock::now();
    child->last_lines.emplace_back(text);
    if (child->last_lines.size() > kLastLines) child->last_lines.pop_front();
    if (options_.on_log) {
      options_.on_log({text, child->stage, child->partition, child->pid});
    } else {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
    }
  };
  std::array<char, 64 * 1024> buffer;
  for (int64_t total = 0; total < most_bytes;) {
    const ssize_t count = read(child->log.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      child->lines.Finish(sink);
      child->log.Reset();
      return;
    }
    child->lines.Add({buffer.data(), static_cast<size_t>(count)}, sink);
    total += count;
  }
}

void WorkerPool::Impl::ReadSocket(Child* child) {
  bool closed = false;
  auto messages = child->channel.ReceiveAvailable(&closed);
  if (!messages.ok()) {
    child->socket_open = false;
    Kill(child, "broke the protocol (" + messages.status().message() + ")");
    return;
  }
  for (Json& message : *messages) OnMessage(child, std::move(message));
  if (!closed) return;
  child->socket_open = false;
  // It should end now by itself. One that lives on without a voice is ended.
  if (child->state != State::kLeaving && child->state != State::kGone) {
    child->SetDeadline(options_.exit_timeout_ms, "closed its socket, lived on");
  }
}

void WorkerPool::Impl::OnMessage(Child* child, Json message) {
  child->last_word = Clock::now();
  const std::string type = message["type"].get<std::string>();
  if (type == "hello") return OnHello(child, message);
  const auto task = Member<int64_t>(message, "task", "a message");
  if (!task.ok() || (type != "progress" && type != "done" && type != "failed")) {
    return Kill(child, "broke the protocol (a message of type " + type + ")");
  }
  if (child->role == Role::kZygote) {
    if (child == zygote_ && type != "progress") OnForkAnswer(message, type == "done");
    return;
  }
  // Late words about a task that was cancelled or taken away.
  if (!child->task || child->task->id != *task) return;
  if (type != "progress") return OnTaskEnd(child, type, std::move(message));
  Event event;
  event.task = *task;
  event.body = std::move(message);
  events_.push_back(std::move(event));
}

void WorkerPool::Impl::OnHello(Child* child, const Json& message) {
  if (child->state != State::kStarting) return;
  child->deadline.reset();
  if (child->pid < 0) {
    SetPid(child, Member<pid_t>(message, "pid", "hello").ValueOr(-1));
    if (child->state != State::kStarting) return;
  }
  child->state = State::kIdle;
  if (child->role == Role::kZygote) {
    if (child == zygote_) OnZygoteReady(message);
    return;
  }
  // One that cannot be told is about to end, and its end says more.
  if (child->is_prepared()) static_cast<void>(child->channel.Send(child->preparation));
  if (child->task) SendTask(child);
}

void WorkerPool::Impl::OnTaskEnd(Child* child, const std::string& type, Json message) {
  Event event;
  event.task = child->task->id;
  event.kind = type == "done" ? Event::Kind::kDone : Event::Kind::kFailed;
  if (event.kind == Event::Kind::kFailed) {
    event.status = AtStage(ErrorFromJson(message.contains("error") ? message["error"] : Json()),
                           child->stage, child->partition);
  }
  event.body = std::move(message);
  // What was printed during the task comes before its end.
  if (child->log.valid()) ReadLog(child, kLogBytesAfterDeath);
  events_.push_back(std::move(event));
  child->task.reset();
  child->state = State::kIdle;
  if (child->serves_one_task()) AskToLeave(child);
}

void WorkerPool::Impl::OnExit(Child* child) {
  // What it said last may be that the task is done.
  if (child->socket_open) ReadSocket(child);
  // As long as it is not reaped, nobody else can have this pid or this group.
  kill(-child->pid, SIGKILL);
  const auto report = Reap(child->pid);
  if (child->log.valid()) ReadLog(child, kLogBytesAfterDeath);
  const bool was_leaving = child->state == State::kLeaving;
  child->pidfd.Reset();
  child->state = State::kGone;
  if (!report.ok()) Say(child, report.status().message());

  const int64_t oom_kills = CountOomKills();
  const ExitReport end = report.ok() ? *report : ExitReport{};
  const bool out_of_memory =
      end.signal == SIGKILL && child->kill_reason.empty() && oom_kills > oom_kills_;
  oom_kills_ = oom_kills;
  if (child->task) {
    events_.push_back(DiedEvent(*child, end, out_of_memory));
    child->task.reset();
  } else if (child->kill_reason.empty() && !(was_leaving && end.clean())) {
    Say(child, child->Name() + " " + end.ToString() + (was_leaving ? " while it left" : ""));
  }
  if (child == zygote_) {
    zygote_ = nullptr;
    ++zygote_failures_;
    OnZygoteExit(*child);
  }
}

}  // namespace hayate::worker
