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
  Entry entry;
  entry.place = std::pair(task.priority, next_order_++);
  entry.task = std::move(task);
  AddEntry(std::move(entry));
}

void Scheduler::AddEntry(Entry entry) {
  auto& waiting = entry.task.background ? background_ : ready_;
  waiting.emplace(entry.place, std::move(entry));
}

std::string NameOf(const Task& task) {
  if (!task.partition) return task.node;
  return task.node + ", partition " + std::to_string(*task.partition);
}

void Scheduler::Warn(const std::string& text) const {
  if (options_.on_warning) options_.on_warning(text);
}

void Scheduler::Log(const std::string& text) const {
  if (options_.on_log) options_.on_log(text);
}

int64_t Scheduler::CountRunning(const std::string& node) const {
  return std::count_if(running_.begin(), running_.end(), [&](const auto& one) {
    const Task& task = one.second.entry.task;
    return !task.background && task.node == node;
  });
}

int64_t Scheduler::CountForeground() const {
  return std::count_if(running_.begin(), running_.end(),
                       [](const auto& one) { return !one.second.entry.task.background; });
}

void Scheduler::FewerAtOnce(const std::string& node) {
  most_at_once_[node] = std::max<int64_t>(1, CountRunning(node) - 1);
}

bool Scheduler::MayStart(const Entry& entry, int* slots) const {
  const int least = std::clamp(entry.task.min_slots, 1, options_.slots);
  const int most = std::clamp(entry.task.max_slots, least, options_.slots);
  *slots = std::min(most, free_slots_);
  if (CountForeground() == 0) return true;  // whatever the memory: something has to go on
  if (memory_is_short_ || entry.alone || free_slots_ < least) return false;
  const auto at_once = most_at_once_.find(entry.task.node);
  if (at_once != most_at_once_.end() && CountRunning(entry.task.node) >= at_once->second) {
    return false;
  }
  if (free_slots_ >= most) return true;
  return std::none_of(running_.begin(), running_.end(),
                      [](const auto& one) { return one.second.entry.task.brief; });
}

// In order of priority only: a task that waits for many cores is not overtaken by small ones, else
// it could wait for ever.
Status Scheduler::Admit() {
  int slots = 0;
  while (!ready_.empty() && free_slots_ > 0 && MayStart(ready_.begin()->second, &slots)) {
    Entry entry = std::move(ready_.begin()->second);
    ready_.erase(ready_.begin());
    ARROW_RETURN_NOT_OK(Start(std::move(entry), slots));
  }
  if (ready_.empty() && options_.on_all_started) options_.on_all_started();
  if (background_.empty() || CountForeground() < static_cast<int64_t>(running_.size())) {
    return Status::OK();
  }
  Entry entry = std::move(background_.begin()->second);
  background_.erase(background_.begin());
  return Start(std::move(entry), 0);
}

Status Scheduler::Start(Entry entry, int slots) {
  const int64_t id = next_id_++;
  const Task& task = entry.task;
  Json message = task.make_message ? task.make_message() : task.message;
  message["id"] = id;
  message["threads"] = std::max(1, task.threads > 0 ? task.threads : slots);
  Running running;
  running.kind = message.value("kind", "");
  ARROW_RETURN_NOT_OK(pool_->Submit(task.start, std::move(message)));
  if (options_.on_start) options_.on_start(task.node);
  running.slots = entry.alone && !task.background ? options_.slots : slots;
  running.start_s = running.heard_s = Now();
  running.entry = std::move(entry);
  free_slots_ -= running.slots;
  running_.emplace(id, std::move(running));
  return Status::OK();
}

Status Scheduler::OnDone(const Running& running, const Json& body) {
  const Task& task = running.entry.task;
  if (options_.on_task) {
    TaskRecord record;
    record.node = task.node;
    record.kind = running.kind;
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
    const Task& task = found->second.entry.task;
    if (task.on_progress) task.on_progress(event.body);
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
      return OnDied(std::move(running), event);
    case Event::Kind::kProgress:
      break;
  }
  return Status::OK();
}

Status Scheduler::OnDied(Running running, const Event& event) {
  if (is_ending_) return event.status;
  Entry& entry = running.entry;
  if (running.ended == Ended::kForMemory) {
    ARROW_RETURN_NOT_OK(running.too_large);
    entry.alone = true;
    AddEntry(std::move(entry));
    return Status::OK();
  }
  if (entry.attempts > options_.retries) return event.status;
  const bool for_memory = event.body.value("out_of_memory", false);
  Warn(NameOf(entry.task) + ": " + event.status.message() + "; it starts once more" +
       (for_memory ? ", alone" : ""));
  ++entry.attempts;
  if (for_memory) {
    entry.alone = true;
    FewerAtOnce(entry.task.node);
  }
  AddEntry(std::move(entry));
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
  const int wait_ms = std::min(options_.tick_ms, options_.watch_ms);
  while (true) {
    ARROW_RETURN_NOT_OK(Watch());
    if (!is_ending_) first = Admit();
    is_ending_ = !first.ok();
    if (IsDone() || (is_ending_ && running_.empty())) break;
    auto events = pool_->Wait(wait_ms);
    if (!events.ok()) return events.status();
    if (options_.check) ARROW_RETURN_NOT_OK(options_.check());
    for (Event& event : *events) {
      Status status = OnEvent(std::move(event));
      if (status.ok()) continue;
      // After the first error the others run out: what they finish is kept, what they say is not
      // the cause.
      if (is_ending_) {
        Log(FormatForUser(status));
      } else {
        first = std::move(status);
        is_ending_ = true;
      }
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
