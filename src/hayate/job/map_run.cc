#include "hayate/job/map_run.h"

#include <algorithm>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/frame/manifest.h"
#include "hayate/job/plan.h"

namespace hayate::job {
namespace {

constexpr const char* kName = "a map task";

template <typename T>
Result<T> MemberOr(const Json& object, const char* key, T fallback) {
  if (!object.contains(key) || object[key].is_null()) return fallback;
  return Member<T>(object, key, kName);
}

// The one input of the task that does `part`, over the frame or its split copy.
Json InputOf(const MapRequest& request, const std::string& frame, int64_t frame_rows,
             int64_t part) {
  Json input = {{"param", ""}, {"as", request.as}};
  if (request.over_items) {
    input["mode"] = "items";
    input["path"] = request.items[static_cast<size_t>(part)];
    return input;
  }
  input["frame"] = frame;
  if (request.mode == Mode::kRows) {
    input["mode"] = "rows";
    input["start"] = part * request.rows;
    input["stop"] = std::min((part + 1) * request.rows, frame_rows);
  } else {
    input["mode"] = "partition";
    input["partition"] = part;
  }
  return input;
}

Json CommitOf(const std::string& name, int64_t parts) {
  // Nothing looks such a frame up by its key.
  return {{"name", name}, {"key", HashText(name)}, {"expected_parts", parts}};
}

Task NativeTask(const std::string& kind, const std::string& dir) {
  Task task;
  task.message = {{"type", "task"}, {"kind", kind}, {"dir", dir}};
  return task;
}

class MapRun {
 public:
  MapRun(const MapRequest& request, Scheduler* scheduler,
         const std::function<void(int64_t, int64_t)>& on_progress)
      : request_(request), scheduler_(scheduler), on_progress_(on_progress) {}

  Result<Json> Run() {
    frame_ = request_.frame;
    if (request_.over_items) {
      total_ = static_cast<int64_t>(request_.items.size());
      AddTasks();
    } else {
      ARROW_ASSIGN_OR_RAISE(input_, frame::ReadManifest(request_.frame));
      if (!input_.is_table()) {
        return Fail(Fault::kUsage, "what is to be mapped is not a table",
                    {.object = request_.frame}, "Give a data frame.");
      }
      Node node;
      node.mode = request_.mode;
      node.rows = request_.rows;
      total_ = CountTasks(node, {&input_});
      ARROW_RETURN_NOT_OK(CheckTaskCount(total_, request_.rows, {.stage = request_.name}));
      if (request_.mode == Mode::kRows) {
        AddTasks();
      } else {
        AddSplit();
      }
    }
    const Status status = scheduler_->Run();
    if (frame_ != request_.frame) {
      const Status removed = RemoveTree(frame_);
      if (status.ok()) ARROW_RETURN_NOT_OK(removed);
    }
    ARROW_RETURN_NOT_OK(status);
    return summary_;
  }

 private:
  void AddSplit() {
    frame_ = request_.dir + ".shuffled";
    Task task = NativeTask("shuffle", frame_);
    task.message["frame"] = request_.frame;
    task.message["columns"] = request_.by;
    task.message["partitions"] = total_;
    task.message["with_row_numbers"] = request_.mode == Mode::kGroup;
    task.message["commit"] =
        CommitOf(request_.name + "-split", static_cast<int64_t>(input_.parts.size()));
    task.max_slots = scheduler_->slots();
    task.on_done = [this](const Json&) {
      AddTasks();
      return Status::OK();
    };
    scheduler_->Add(std::move(task));
  }

  Json MessageOf(int64_t part) const {
    return {{"type", "task"},
            {"kind", "stage"},
            {"stage", request_.name},
            {"function", request_.function},
            {"mode", request_.over_items ? "items" : std::string(ModeName(request_.mode))},
            {"by", request_.by},
            {"partition", part},
            {"partitions", total_},
            {"inputs", Json::array({InputOf(request_, frame_, input_.rows, part)})},
            {"outputs",
             Json::array({Json{{"name", request_.name}, {"dir", request_.dir}, {"part", part}}})}};
  }

  void AddTasks() {
    on_progress_(0, total_);
    if (total_ == 0) AddCommit();
    for (int64_t part = 0; part < total_; ++part) {
      Task task;
      task.start = request_.fork ? worker::Start::kFork : worker::Start::kExec;
      task.make_message = [this, part] { return MessageOf(part); };
      task.node = request_.name;
      task.partition = part;
      task.on_done = [this](const Json&) {
        on_progress_(++done_, total_);
        if (done_ == total_) AddCommit();
        return Status::OK();
      };
      scheduler_->Add(std::move(task));
    }
  }

  void AddCommit() {
    Task task = NativeTask("commit", request_.dir);
    task.message["commit"] = CommitOf(request_.name, total_);
    task.on_done = [this](const Json& done) {
      return Member<Json>(done, "result", "a commit task").Value(&summary_);
    };
    scheduler_->Add(std::move(task));
  }

  const MapRequest& request_;
  Scheduler* scheduler_;
  const std::function<void(int64_t, int64_t)>& on_progress_;
  std::string frame_;
  frame::Manifest input_;
  int64_t total_ = 0;
  int64_t done_ = 0;
  Json summary_;
};

}  // namespace

Result<MapRequest> MapRequestFromJson(const Json& json) {
  MapRequest out;
  ARROW_ASSIGN_OR_RAISE(out.name, MemberOr<std::string>(json, "name", "map"));
  ARROW_ASSIGN_OR_RAISE(const auto mode, Member<std::string>(json, "mode", kName));
  out.over_items = mode == "items";
  const auto modes = {Mode::kPartition, Mode::kGroup, Mode::kRows};
  const auto found =
      std::find_if(modes.begin(), modes.end(), [&](Mode one) { return ModeName(one) == mode; });
  if (!out.over_items && found == modes.end()) {
    return Fail(Fault::kInternal, "\"" + mode + "\" is no mode", {.object = kName});
  }
  if (!out.over_items) out.mode = *found;
  ARROW_ASSIGN_OR_RAISE(out.by, MemberOr(json, "by", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(out.rows, MemberOr<int64_t>(json, "rows", 0));
  ARROW_ASSIGN_OR_RAISE(out.frame, MemberOr<std::string>(json, "frame", ""));
  ARROW_ASSIGN_OR_RAISE(out.items, MemberOr(json, "items", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(out.function, Member<Json>(json, "function", kName));
  out.as = json.contains("as") ? json["as"] : Json();
  ARROW_ASSIGN_OR_RAISE(out.cores, MemberOr<int>(json, "cores", 0));
  ARROW_ASSIGN_OR_RAISE(out.preload, MemberOr(json, "preload", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(const auto start, MemberOr<std::string>(json, "start", "fork"));
  out.fork = start == "fork";
  ARROW_ASSIGN_OR_RAISE(out.dir, Member<std::string>(json, "dir", kName));
  if (!out.over_items && out.mode == Mode::kRows && out.rows < 1) {
    return Fail(Fault::kUsage, "rows= has to be at least 1", {}, "Give rows per slice.");
  }
  if (!out.over_items && out.mode != Mode::kRows && out.by.empty()) {
    return Fail(Fault::kUsage, "no column to split by was named", {},
                "Name one in partition_by= or group_by=.");
  }
  return out;
}

Result<Json> RunMap(const MapRequest& request, Scheduler* scheduler,
                    const std::function<void(int64_t, int64_t)>& on_progress) {
  return MapRun(request, scheduler, on_progress).Run();
}

}  // namespace hayate::job
