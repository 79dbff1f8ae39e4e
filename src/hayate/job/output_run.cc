#include <algorithm>
#include <optional>

#include "hayate/base/file.h"
#include "hayate/job/run_state.h"
#include "hayate/source/source.h"

namespace hayate::job {
namespace {

// What the store remembers of a file or a table that it wrote: it is left alone while it is still
// what was written and the frame that it holds is still the same.
struct Written {
  std::string key;
  source::Object file;
  std::string state;  // of a table
  int64_t rows = 0;
};

std::optional<Written> ReadNote(const Store& store, const std::string& path) {
  const std::string note = store.OutputNote(path);
  if (!PathExists(note)) return std::nullopt;
  // A note that cannot be read costs no more than writing the file again.
  const auto read = [&]() -> Result<Written> {
    ARROW_ASSIGN_OR_RAISE(const auto text, ReadFile(note));
    ARROW_ASSIGN_OR_RAISE(const auto json, ParseJson(text, note));
    Written written;
    ARROW_ASSIGN_OR_RAISE(written.key, Member<std::string>(json, "key", note));
    ARROW_ASSIGN_OR_RAISE(written.rows, Member<int64_t>(json, "rows", note));
    if (json.contains("state")) {
      ARROW_ASSIGN_OR_RAISE(written.state, Member<std::string>(json, "state", note));
      return written;
    }
    ARROW_ASSIGN_OR_RAISE(const auto file, Member<Json>(json, "file", note));
    ARROW_ASSIGN_OR_RAISE(written.file, source::ObjectFromJson(file));
    return written;
  };
  auto written = read();
  return written.ok() ? std::optional(std::move(*written)) : std::nullopt;
}

Status WriteNote(const Store& store, const std::string& key, const std::string& path,
                 int64_t rows) {
  ARROW_ASSIGN_OR_RAISE(const auto file, source::Stat(path));
  const Json note = {{"path", path}, {"key", key}, {"rows", rows}, {"file", source::ToJson(file)}};
  return WriteFileAtomically(store.OutputNote(path), ToCanonicalText(note));
}

// Rows that were appended stay appended, whatever became of the table since.
bool StillThere(const Written& written, const std::string& key, const Output& output) {
  if (written.key != key) return false;
  if (output.is_load()) {
    return output.load.value("write", "") == "append" ||
           (!output.state.empty() && written.state == output.state);
  }
  const auto now = source::Stat(output.path);
  return now.ok() && SameStat(*now, written.file);
}

// A Python worker puts the frame into a table.
void AddLoad(RunState* state, const std::string& dir, const std::string& key,
             const Output& output) {
  Task task;
  task.start = worker::Start::kExec;
  task.message = {{"type", "task"}, {"kind", "load"},      {"stage", output.node},
                  {"frame", dir},   {"load", output.load}, {"key", key}};
  task.node = output.node;
  task.priority = kLastPriority;
  task.max_slots = state->scheduler->slots();
  task.on_done = [state, key, path = output.path, node = output.node](const Json& done) -> Status {
    const Json result = done.value("result", Json::object());
    const OutputRecord record{.path = path,
                              .node = node,
                              .rows = result.value("rows", int64_t{-1}),
                              .bytes = result.value("bytes", int64_t{-1}),
                              .written = true};
    state->record->outputs.push_back(record);
    const Json note = {
        {"path", path}, {"key", key}, {"rows", record.rows}, {"state", result.value("state", "")}};
    return WriteFileAtomically(state->store->OutputNote(path), ToCanonicalText(note));
  };
  state->scheduler->Add(std::move(task));
}

Status AddOutput(RunState* state, int64_t index, const Output& output) {
  const PlannedNode& planned = state->planned(index);
  const auto at = static_cast<size_t>(output.output);
  const frame::Manifest& manifest = *planned.manifests[at];
  const std::string key = planned.key + "/" + std::to_string(output.output);
  OutputRecord record{.path = output.path, .node = output.node};
  const auto note = ReadNote(*state->store, output.path);
  if (note && StillThere(*note, key, output)) {
    record.rows = note->rows;
    record.bytes = note->file.size_bytes;
    state->record->outputs.push_back(std::move(record));
    return Status::OK();
  }
  if (!manifest.is_table()) {
    return Fail(Fault::kUsage, "\"" + output.node + "\" is not a table, so it has no rows to write",
                {.object = state->description->job, .line = output.line},
                "Let it return a data frame, or read it with hy.result.");
  }
  if (output.is_load()) {
    AddLoad(state, planned.dirs[at], key, output);
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(MakeDirectories(ParentFolder(output.path)));
  Task task;
  task.message = {{"type", "task"},       {"kind", "output"},
                  {"stage", output.node}, {"frame", planned.dirs[at]},
                  {"path", output.path},  {"format", ""}};
  task.node = output.node;
  task.priority = kLastPriority;
  constexpr int64_t kBytesPerThread = 16 << 20;
  task.max_slots = static_cast<int>(
      std::clamp<int64_t>(manifest.bytes / kBytesPerThread, 1, state->scheduler->slots()));
  task.on_done = [state, key, record = std::move(record)](const Json& done) mutable -> Status {
    const auto result = done.find("result");
    if (result != done.end()) {
      record.rows = result->value("rows", int64_t{-1});
      record.bytes = result->value("bytes", int64_t{-1});
    }
    record.written = true;
    const std::string path = record.path;
    const int64_t rows = record.rows;
    state->record->outputs.push_back(std::move(record));
    return WriteNote(*state->store, key, path, rows);
  };
  state->scheduler->Add(std::move(task));
  return Status::OK();
}

}  // namespace

Status StartOutputs(RunState* state, int64_t node) {
  for (const Output& output : state->description->outputs) {
    if (output.node != state->node(node).name) continue;
    ARROW_RETURN_NOT_OK(AddOutput(state, node, output));
  }
  return Status::OK();
}

}  // namespace hayate::job
