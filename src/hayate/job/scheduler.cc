#include "hayate/job/scheduler.h"

#include <algorithm>

namespace hayate::job {

using worker::Event;

Scheduler::Scheduler(TaskPool* pool, SchedulerOptions options)
    : pool_(pool), options_(std::move(options)), free_slots_(options_.slots) {}

double Scheduler::Now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - options_.begin).count();
}

void Scheduler::Add(Task task) {
  if (task.background) {
    background_.push_back(std::move(task));
    return;
  }
  const auto place = std::pair(task.priority, next_order_++);
  ready_.emplace(place, std::move(task));
}

void Scheduler::Warn(const std::string& text) const {
  if (options_.on_warning) options_.on_warning(text);
}

// In order of priority only: a task that waits for many cores is not overtaken by small ones, else
// it could wait for ever.
Status Scheduler::Admit() {
  while (!ready_.empty()) {
    const Task& next = ready_.begin()->second;
    const int least = std::clamp(next.min_slots, 1, options_.slots);
    if (free_slots_ < least) break;
    const int slots = std::min(std::max(next.max_slots, least), free_slots_);
    Task task = std::move(ready_.begin()->second);
    ready_.erase(ready_.begin());
    ARROW_RETURN_NOT_OK(Start(std::move(task), slots, 1));
  }
  const bool busy = std::any_of(running_.begin(), running_.end(),
                                [](const auto& one) { return one.second.task.background; });
  if (busy || background_.empty()) return Status::OK();
  Task task = std::move(background_.front());
  background_.pop_front();
  return Start(std::move(task), 0, 1);
}

Status Scheduler::Start(Task task, int slots, int attempts) {
  const int64_t id = next_id_++;
  Json message = task.message;
  message["id"] = id;
  message["threads"] = std::max(1, slots);
  ARROW_RETURN_NOT_OK(pool_->Submit(task.start, std::move(message)));
  if (options_.on_start) options_.on_start(task.node);
  free_slots_ -= slots;
  running_.emplace(id, Running{std::move(task), slots, Now(), attempts});
  return Status::OK();
}

Status Scheduler::OnDone(const Running& running, const Json& body) {
  const Task& task = running.task;
  if (options_.on_task) {
    TaskRecord record;
    record.node = task.node;
    record.kind = task.message.value("kind", "");
    record.partition = task.partition;
    record.start_s = running.start_s;
    record.end_s = Now();
    record.threads = std::max(1, running.slots);
    if (body.contains("usage") && body["usage"].is_object()) record.usage = body["usage"];
    options_.on_task(record);
  }
  if (const auto warnings = body.find("warnings"); warnings != body.end() && warnings->is_array()) {
    for (const Json& one : *warnings) {
      if (one.is_string())
        Warn((task.node.empty() ? "" : task.node + ": ") + one.get<std::string>());
    }
  }
  return task.on_done ? task.on_done(body) : Status::OK();
}

Status Scheduler::OnEvent(Event event) {
  const auto found = running_.find(event.task);
  if (found == running_.end()) return Status::OK();  // it was cancelled
  if (event.kind == Event::Kind::kProgress) {
    if (found->second.task.on_progress) found->second.task.on_progress(event.body);
    return Status::OK();
  }
  Running running = std::move(found->second);
  running_.erase(found);
  free_slots_ += running.slots;
  switch (event.kind) {
    case Event::Kind::kDone:
      return OnDone(running, event.body);
    case Event::Kind::kFailed:
      return event.status;
    case Event::Kind::kDied:
      if (running.attempts > options_.retries) return event.status;
      Warn(event.status.message() + ": its task starts once more");
      return Start(std::move(running.task), running.slots, running.attempts + 1);
    case Event::Kind::kProgress:
      break;
  }
  return Status::OK();
}

void Scheduler::Cancel() {
  for (const auto& [id, running] : running_) pool_->Cancel(id);
  running_.clear();
  ready_.clear();
  background_.clear();
  free_slots_ = options_.slots;
}

Status Scheduler::Run() {
  Status first;
  auto next_tick = options_.begin;
  while (true) {
    if (first.ok()) first = Admit();
    if (IsDone() || (!first.ok() && running_.empty())) break;
    auto events = pool_->Wait(options_.tick_ms);
    if (!events.ok()) return events.status();
    if (options_.check) ARROW_RETURN_NOT_OK(options_.check());
    for (Event& event : *events) {
      // After the first error the others run out: what they finish is kept, what they say is not
      // the cause.
      const bool over = !first.ok();
      if (over && event.kind == Event::Kind::kDied) {
        const auto died = running_.find(event.task);
        if (died == running_.end()) continue;
        free_slots_ += died->second.slots;
        running_.erase(died);
        continue;
      }
      Status status = OnEvent(std::move(event));
      if (first.ok()) first = std::move(status);
    }
    if (options_.on_tick && std::chrono::steady_clock::now() >= next_tick) {
      options_.on_tick();
      next_tick = std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.tick_ms);
    }
  }
  ready_.clear();
  background_.clear();
  return first;
}

}  // namespace hayate::job
