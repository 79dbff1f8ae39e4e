#include "hayate/job/run_state.h"

#include <utility>

namespace hayate::job {

Status SharedWork::Ensure(const std::string& id, const std::function<Status()>& start, Then then) {
  const auto [entry, is_new] = entries_.try_emplace(id);
  if (entry->second.done) return then();
  entry->second.waiting.push_back(std::move(then));
  return is_new ? start() : Status::OK();
}

Status SharedWork::Finish(const std::string& id) {
  Entry& entry = entries_[id];
  entry.done = true;
  for (const Then& then : std::exchange(entry.waiting, {})) ARROW_RETURN_NOT_OK(then());
  return Status::OK();
}

Status TakeCommitted(RunState* state, int64_t index) {
  const Node& node = state->node(index);
  PlannedNode& planned = state->planned(index);
  NodeRecord* record = state->record->Find(node.name);
  for (int64_t i = 0; i < node.num_outputs(); ++i) {
    const auto at = static_cast<size_t>(i);
    ARROW_ASSIGN_OR_RAISE(planned.manifests[at], frame::ReadManifest(planned.dirs[at]));
    state->record->frames[node.FrameName(i)] = planned.dirs[at];
    const frame::Manifest& manifest = *planned.manifests[at];
    if (record == nullptr) continue;
    record->bytes = (i == 0 ? 0 : record->bytes) + manifest.bytes;
    if (manifest.is_table()) record->rows = (i == 0 ? 0 : record->rows) + manifest.rows;
  }
  state->on_finished(index);
  return state->on_committed(index);
}

void AddSyncs(RunState* state, int64_t index) {
  const PlannedNode& planned = state->planned(index);
  for (size_t i = 0; i < planned.manifests.size(); ++i) {
    const auto& manifest = planned.manifests[i];
    if (!manifest || manifest->boot.empty()) continue;
    Task task;
    task.message = {{"type", "task"},
                    {"kind", "sync"},
                    {"stage", state->node(index).name},
                    {"frame", planned.dirs[i]}};
    task.node = state->node(index).name;
    task.background = true;
    state->scheduler->Add(std::move(task));
  }
}

Json CommitMessage(const std::string& name, const std::string& key, const Json& key_parts,
                   int64_t expected_parts) {
  return {
      {"name", name}, {"key", key}, {"key_parts", key_parts}, {"expected_parts", expected_parts}};
}

}  // namespace hayate::job
