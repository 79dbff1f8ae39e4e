#include "hayate/job/session.h"

#include <filesystem>

#include "hayate/job/run_record.h"

namespace hayate::job {

Result<std::string> FindJob(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error || !std::filesystem::is_regular_file(absolute, error)) {
    return Fail(Fault::kUsage, "there is no job file", {.object = absolute.string()},
                "Check the path: hayate run path/to/job.py");
  }
  return absolute.string();
}

Result<std::unique_ptr<Session>> Session::Make(SessionOptions options) {
  auto session = std::unique_ptr<Session>(new Session(std::move(options)));
  worker::PoolOptions pool;
  pool.python = session->options_.python;
  pool.on_log = session->options_.on_log;
  ARROW_ASSIGN_OR_RAISE(session->pool_, worker::WorkerPool::Make(std::move(pool)));
  return session;
}

Result<Json> Session::RunAlone(Task task) {
  Json result;
  task.on_done = [&result](const Json& done) {
    return Member<Json>(done, "result", "a worker's answer").Value(&result);
  };
  SchedulerOptions options;
  options.retries = 0;
  const auto pool = MakeTaskPool(pool_.get());
  Scheduler scheduler(pool.get(), std::move(options));
  scheduler.Add(std::move(task));
  ARROW_RETURN_NOT_OK(scheduler.Run());
  return result;
}

Result<Description> Session::Describe() {
  Task task;
  task.start = worker::Start::kPlanner;
  task.message = {
      {"kind", "describe"}, {"job", options_.job}, {"set", options_.set}, {"as_of", UtcNow()}};
  task.timeout_ms = options_.describe_timeout_ms;
  task.timeout_remedy = "Find what " + options_.job +
                        " does or waits for when it is imported: what takes long belongs into a "
                        "stage.";
  ARROW_ASSIGN_OR_RAISE(const Json described, RunAlone(std::move(task)));
  return DescriptionFromJson(described);
}

Status Session::VerifyFrame(const std::string& dir) {
  Task task;
  task.message = {{"kind", "verify"}, {"frame", dir}};
  return RunAlone(std::move(task)).status();
}

Status Session::SyncFrame(const std::string& dir) {
  Task task;
  task.message = {{"kind", "sync"}, {"frame", dir}};
  return RunAlone(std::move(task)).status();
}

Result<std::vector<std::string>> Session::ComputeChecksums(
    const std::vector<source::Object>& objects) {
  Json list = Json::array();
  for (const source::Object& object : objects) list.push_back(source::ToJson(object));
  Task task;
  task.message = {{"kind", "checksum"}, {"objects", std::move(list)}};
  ARROW_ASSIGN_OR_RAISE(const Json result, RunAlone(std::move(task)));
  return Member<std::vector<std::string>>(result, "checksums", "a checksum task");
}

}  // namespace hayate::job
