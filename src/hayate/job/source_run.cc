#include <algorithm>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/frame/writer.h"
#include "hayate/job/run_state.h"

namespace hayate::job {
namespace {

// Fewer cores for small inputs, so that several can be read at a time.
constexpr int64_t kBytesPerThread = 4 << 20;

// Once every checksum is there: the manifest keeps them, so that a file that was only touched or
// copied back is known again. Of files that changed since they were read they would say that the
// frame holds what the files hold now.
Status KeepChecksums(RunState* state, int64_t index) {
  PlannedNode& planned = state->planned(index);
  const Status unchanged = CheckUnchanged(planned.files);
  if (!unchanged.ok()) {
    const FaultDetail* detail = FaultDetail::Get(unchanged);
    state->on_warning(state->node(index).name + ": " +
                      (detail == nullptr ? "a file" : detail->where().object) +
                      " changed after it was read; the next run reads it again");
    return Status::OK();
  }
  const std::string& dir = planned.dirs.front();
  ARROW_ASSIGN_OR_RAISE(auto manifest, frame::ReadManifest(dir));
  ARROW_ASSIGN_OR_RAISE(auto files, FilesFromJson(manifest.extra["files"], dir));
  for (size_t i = 0; i < files.size() && i < planned.files.size(); ++i) {
    files[i].checksum = planned.files[i].checksum;
  }
  manifest.extra["files"] = FilesToJson(files);
  return frame::WriteManifest(dir, manifest);
}

// The frame goes to the disk once its manifest is the last one.
void AddChecksums(RunState* state, int64_t index) {
  const PlannedNode& planned = state->planned(index);
  std::vector<size_t> missing;
  for (size_t i = 0; i < planned.files.size(); ++i) {
    if (planned.files[i].checksum.empty()) missing.push_back(i);
  }
  if (missing.empty()) return AddSyncs(state, index);
  const size_t chunks = std::min<size_t>(missing.size(), state->scheduler->slots());
  const auto left = std::make_shared<size_t>(chunks);
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<size_t> mine;
    Json objects = Json::array();
    for (size_t i = chunk; i < missing.size(); i += chunks) {
      mine.push_back(missing[i]);
      objects.push_back(source::ToJson(planned.files[missing[i]].object));
    }
    Task task;
    task.message = {{"type", "task"}, {"kind", "checksum"}, {"objects", std::move(objects)}};
    task.node = state->node(index).name;
    task.priority = kLastPriority;
    task.on_done = [state, index, mine = std::move(mine), left](const Json& done) {
      ARROW_ASSIGN_OR_RAISE(const auto sums, Member<std::vector<std::string>>(
                                                 done["result"], "checksums", "a checksum task"));
      for (size_t i = 0; i < mine.size() && i < sums.size(); ++i) {
        state->planned(index).files[mine[i]].checksum = sums[i];
      }
      if (--*left > 0) return Status::OK();
      ARROW_RETURN_NOT_OK(KeepChecksums(state, index));
      AddSyncs(state, index);
      return Status::OK();
    };
    state->scheduler->Add(std::move(task));
  }
}

Status OnIngested(RunState* state, int64_t index) {
  const Status unchanged = CheckUnchanged(state->planned(index).files);
  if (!unchanged.ok()) {
    // What was read may be of two versions; nobody may find it under this key.
    ARROW_RETURN_NOT_OK(frame::ClearFrame(state->planned(index).dirs.front()));
    return unchanged;
  }
  ARROW_RETURN_NOT_OK(TakeCommitted(state, index));
  AddChecksums(state, index);
  return Status::OK();
}

std::function<void(const Json&)> ShowProgress(RunState* state, int64_t index) {
  return [state, index](const Json& at) {
    observe::StageState& now = state->progress[static_cast<size_t>(index)];
    now.rows = at.value("rows", now.rows);
    now.bytes_read = at.value("bytes_read", now.bytes_read);
    now.bytes_total = at.value("bytes_total", now.bytes_total);
    now.text_bytes = at.value("text_bytes", now.text_bytes);
  };
}

// A Python worker asks the service and leaves the parts; a native one commits them.
Status StartQuery(RunState* state, int64_t index) {
  const Node& node = state->node(index);
  PlannedNode& planned = state->planned(index);
  const std::string& dir = planned.dirs.front();
  // No part of another attempt may stay beside those of this one.
  ARROW_RETURN_NOT_OK(frame::ClearFrame(dir));

  Task task;
  task.start = worker::Start::kExec;
  task.message = {{"type", "task"},
                  {"kind", "query"},
                  {"stage", node.name},
                  {"format", node.format},
                  {"query", node.query},
                  {"dir", dir},
                  {"allow_empty", node.allow_empty}};
  task.node = node.name;
  task.priority = state->priority[static_cast<size_t>(index)];
  task.max_slots = state->scheduler->slots();
  task.on_progress = ShowProgress(state, index);
  task.on_done = [state, index](const Json& done) {
    const Node& node = state->node(index);
    const PlannedNode& planned = state->planned(index);
    const Json result = done.value("result", Json::object());
    if (NodeRecord* record = state->record->Find(node.name)) {
      record->note = result.value("note", "");
    }
    Task commit;
    commit.message = {{"type", "task"}, {"kind", "commit"}, {"stage", node.name}};
    commit.message["dir"] = planned.dirs.front();
    commit.message["commit"] = CommitMessage(node.name, planned.key, planned.key_parts,
                                             result.value("parts", int64_t{-1}));
    commit.message["commit"]["min_rows"] = node.min_rows;
    commit.message["commit"]["extra"] = {{"query", result.value("summary", Json::object())}};
    commit.node = node.name;
    commit.priority = state->priority[static_cast<size_t>(index)];
    commit.brief = true;
    commit.on_done = [state, index](const Json&) {
      ARROW_RETURN_NOT_OK(TakeCommitted(state, index));
      AddSyncs(state, index);
      return Status::OK();
    };
    state->scheduler->Add(std::move(commit));
    return Status::OK();
  };
  state->scheduler->Add(std::move(task));
  return Status::OK();
}

}  // namespace

Status StartSource(RunState* state, int64_t index) {
  const Node& node = state->node(index);
  if (node.is_query()) return StartQuery(state, index);
  PlannedNode& planned = state->planned(index);
  const std::string& dir = planned.dirs.front();
  int64_t bytes = 0;
  Json objects = Json::array();
  for (const FileRecord& file : planned.files) {
    bytes += file.object.size_bytes;
    objects.push_back(source::ToJson(file.object));
  }
  std::vector<FileRecord> recorded = planned.files;
  ForgetRacyTimes(planned.listed_ns, &recorded);
  Json commit = CommitMessage(node.name, planned.key, planned.key_parts,
                              static_cast<int64_t>(planned.files.size()));
  commit["min_rows"] = node.min_rows;
  commit["extra"] = {{"files", FilesToJson(recorded)}};

  Task task;
  task.message = {{"type", "task"},
                  {"kind", "ingest"},
                  {"stage", node.name},
                  {"objects", std::move(objects)},
                  {"format", node.format},
                  {"options", node.options},
                  {"dir", dir},
                  {"allow_empty", node.allow_empty},
                  {"min_rows", node.min_rows},
                  {"commit", std::move(commit)}};
  task.node = node.name;
  task.priority = state->priority[static_cast<size_t>(index)];
  task.max_slots =
      static_cast<int>(std::clamp<int64_t>(bytes / kBytesPerThread, 1, state->scheduler->slots()));
  task.brief = task.max_slots == 1;
  observe::StageState& progress = state->progress[static_cast<size_t>(index)];
  progress.bytes_total = bytes;
  task.on_progress = ShowProgress(state, index);
  task.on_done = [state, index](const Json&) { return OnIngested(state, index); };
  state->scheduler->Add(std::move(task));
  return Status::OK();
}

}  // namespace hayate::job
