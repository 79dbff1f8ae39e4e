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

Result<Json> Session::RunAlone(worker::Start start, Json task) {
  constexpr int64_t kId = 0;
  task["type"] = "task";
  task["id"] = kId;
  task["threads"] = 1;
  ARROW_RETURN_NOT_OK(pool_->Submit(start, std::move(task)));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto events, pool_->Wait(-1));
    if (events.empty() && pool_->busy() == 0) {
      return Fail(Fault::kInternal, "a task ended without a word");
    }
    for (worker::Event& event : events) {
      if (event.task != kId) continue;
      switch (event.kind) {
        case worker::Event::Kind::kProgress:
          break;
        case worker::Event::Kind::kDone:
          return Member<Json>(event.body, "result", "a worker's answer");
        case worker::Event::Kind::kFailed:
        case worker::Event::Kind::kDied:
          return event.status;
      }
    }
  }
}

Result<Description> Session::Describe() {
  ARROW_ASSIGN_OR_RAISE(const Json described,
                        RunAlone(worker::Start::kPlanner, {{"kind", "describe"},
                                                           {"job", options_.job},
                                                           {"set", options_.set},
                                                           {"as_of", UtcNow()}}));
  return DescriptionFromJson(described);
}

Status Session::VerifyFrame(const std::string& dir) {
  return RunAlone(worker::Start::kNative, {{"kind", "verify"}, {"frame", dir}}).status();
}

Status Session::SyncFrame(const std::string& dir) {
  return RunAlone(worker::Start::kNative, {{"kind", "sync"}, {"frame", dir}}).status();
}

Result<std::vector<std::string>> Session::ComputeChecksums(
    const std::vector<source::Object>& objects) {
  Json list = Json::array();
  for (const source::Object& object : objects) list.push_back(source::ToJson(object));
  ARROW_ASSIGN_OR_RAISE(
      const Json result,
      RunAlone(worker::Start::kNative, {{"kind", "checksum"}, {"objects", std::move(list)}}));
  return Member<std::vector<std::string>>(result, "checksums", "a checksum task");
}

}  // namespace hayate::job
