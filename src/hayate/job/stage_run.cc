#include <algorithm>
#include <memory>
#include <set>

#include "hayate/base/file.h"
#include "hayate/frame/writer.h"
#include "hayate/job/run_state.h"

namespace hayate::job {
namespace {

// Below this a copy is made faster than it is shared out.
constexpr int64_t kBytesPerThread = 16 << 20;

// With more cores than these a stage that wants all starts with three of four.
constexpr int kFewCores = 4;

size_t At(int64_t index) { return static_cast<size_t>(index); }

// One input that reads a frame.
struct FrameInput {
  const Input* input = nullptr;
  bool split = false;
  std::string key;   // of the node that made the frame
  std::string name;  // of the frame
  std::string dir;   // of the frame; of its split copy once that is there
  std::string map;   // its consolidated file
  const frame::Manifest* manifest = nullptr;
};

// The tasks of one stage, from its inputs' frames to its own. Lives until its frames are committed.
class StageRun : public std::enable_shared_from_this<StageRun> {
 public:
  StageRun(RunState* state, int64_t index)
      : state_(state),
        index_(index),
        node_(state->node(index)),
        planned_(state->planned(index)),
        progress_(state->progress[At(index)]) {}

  Status Start() {
    ARROW_RETURN_NOT_OK(FindInputs());
    std::vector<const frame::Manifest*> split;
    for (const FrameInput& one : frames_) {
      if (one.split) split.push_back(one.manifest);
    }
    tasks_ = CountTasks(node_, split);
    ARROW_RETURN_NOT_OK(CheckTaskCount(
        tasks_, node_.rows,
        {.object = state_->description->job, .line = node_.line, .stage = node_.name}));
    progress_.tasks_total = tasks_;
    return CheckParts();
  }

 private:
  Status FindInputs() {
    for (const Input& input : node_.inputs) {
      if (input.is_value()) continue;
      const int64_t source = state_->description->Find(input.node);
      const PlannedNode& planned = state_->planned(source);
      FrameInput one;
      one.input = &input;
      one.split = node_.Splits(input.param);
      one.key = planned.key;
      one.name = state_->node(source).FrameName(input.output);
      one.dir = planned.dirs[At(input.output)];
      one.manifest = &*planned.manifests[At(input.output)];
      if (one.split && !one.manifest->is_table()) {
        return Fail(Fault::kUsage, "it is split over \"" + one.name + "\", which is not a table",
                    {.object = state_->description->job, .line = node_.line, .stage = node_.name},
                    "Let " + one.name + " return a data frame, or read it whole.");
      }
      frames_.push_back(std::move(one));
    }
    return Status::OK();
  }

  // Parts from before the machine last started have to be read before they count, which is a
  // worker's.
  Status CheckParts() {
    waiting_ = 1;
    for (const std::string& dir : planned_.dirs) {
      ARROW_ASSIGN_OR_RAISE(const auto unchecked, frame::UncheckedParts(dir));
      if (unchecked.empty()) continue;
      ++waiting_;
      Task task = NativeTask("check_parts");
      task.message["dir"] = dir;
      task.on_done = [self = shared_from_this()](const Json&) { return self->PartsChecked(); };
      state_->scheduler->Add(std::move(task));
    }
    return PartsChecked();
  }

  Status PartsChecked() {
    if (--waiting_ > 0) return Status::OK();
    ARROW_RETURN_NOT_OK(FindFinished());
    // Nothing but the commit is missing: what the tasks would need is not.
    if (static_cast<int64_t>(finished_.size()) == tasks_) return AddCommits();
    return Prepare();
  }

  // Parts that an earlier run finished. A partition is done when every output has it.
  Status FindFinished() {
    bool mixed = false;
    for (int64_t i = 0; i < node_.num_outputs(); ++i) {
      std::set<int64_t> numbers;
      if (planned_.manifests[At(i)]) {
        // Committed, so whole; its parts have no sidecars any more.
        for (int64_t part = 0; part < tasks_; ++part) numbers.insert(part);
        mixed = true;
      } else {
        ARROW_RETURN_NOT_OK(MakeDirectories(planned_.dirs[At(i)]));
        ARROW_ASSIGN_OR_RAISE(const auto parts, frame::FinishedParts(planned_.dirs[At(i)]));
        for (const frame::Part& part : parts) numbers.insert(part.number);
      }
      if (i == 0) {
        finished_ = std::move(numbers);
      } else {
        std::erase_if(finished_, [&](int64_t part) { return !numbers.contains(part); });
      }
    }
    if (mixed && static_cast<int64_t>(finished_.size()) < tasks_) {
      // A committed frame must not get parts of another call beside it.
      for (int64_t i = 0; i < node_.num_outputs(); ++i) {
        ARROW_RETURN_NOT_OK(frame::ClearFrame(planned_.dirs[At(i)]));
        planned_.manifests[At(i)].reset();
      }
      finished_.clear();
    }
    progress_.tasks_done = static_cast<int64_t>(finished_.size());
    if (NodeRecord* record = state_->record->Find(node_.name)) {
      record->tasks_kept = progress_.tasks_done;
    }
    return Status::OK();
  }

  // Split copies and consolidated files; the tasks start when all are there.
  Status Prepare() {
    waiting_ = 1;
    for (FrameInput& one : frames_) {
      if (one.split && node_.mode != Mode::kRows) {
        ARROW_RETURN_NOT_OK(Split(&one));
      } else if (!one.split && one.manifest->is_table() && one.manifest->parts.size() > 1 &&
                 (one.input->as.is_null() || one.input->as == "pandas")) {
        ARROW_RETURN_NOT_OK(MakeWhole(&one));
      }
    }
    return Ready();
  }

  Status Ready() {
    if (--waiting_ > 0) return Status::OK();
    return AddTasks();
  }

  Status Split(FrameInput* one) {
    const bool with_row_numbers = node_.mode == Mode::kGroup;
    const Json key_parts =
        ShuffleKeyParts(one->key, one->input->output, node_.by, tasks_, with_row_numbers);
    const std::string key = KeyOf(key_parts);
    const std::string name = ShuffledName(one->name, node_.by);
    const std::string input_dir = one->dir;
    one->dir = state_->store->FrameDir(name, key);
    state_->record->copies.push_back(one->dir);
    ++waiting_;
    const auto start = [&]() -> Status {
      const FoundFrame there = state_->store->Find(name, key);
      if (there.manifest && !there.manifest->needs_verify()) {
        return state_->shared.Finish(one->dir);
      }
      if (there.manifest || !there.trouble.empty()) {
        // To make it again costs little more than to compare its checksums.
        ARROW_RETURN_NOT_OK(frame::ClearFrame(one->dir));
      }
      Task task = NativeTask("shuffle");
      task.message["frame"] = input_dir;
      task.message["dir"] = one->dir;
      task.message["columns"] = node_.by;
      task.message["partitions"] = tasks_;
      task.message["with_row_numbers"] = with_row_numbers;
      task.message["commit"] =
          CommitMessage(name, key, key_parts, static_cast<int64_t>(one->manifest->parts.size()));
      UseCores(one->manifest->bytes, &task);
      task.on_done = [state = state_, id = one->dir](const Json&) {
        return state->shared.Finish(id);
      };
      state_->scheduler->Add(std::move(task));
      return Status::OK();
    };
    return state_->shared.Ensure(one->dir, start,
                                 [self = shared_from_this()] { return self->Ready(); });
  }

  Status MakeWhole(FrameInput* one) {
    ++waiting_;
    one->map = one->dir + "/whole.arrow";
    const std::string id = one->map;
    const auto start = [&]() -> Status {
      Task task = NativeTask("consolidate");
      task.message["frame"] = one->dir;
      UseCores(one->manifest->bytes, &task);
      task.on_done = [state = state_, id](const Json&) { return state->shared.Finish(id); };
      state_->scheduler->Add(std::move(task));
      return Status::OK();
    };
    return state_->shared.Ensure(id, start, [self = shared_from_this()] { return self->Ready(); });
  }

  Task NativeTask(const char* kind) const {
    Task task;
    task.message = {{"type", "task"}, {"kind", kind}, {"stage", node_.name}};
    task.node = node_.name;
    task.priority = state_->priority[At(index_)];
    return task;
  }

  // As many cores as `bytes` are worth.
  void UseCores(int64_t bytes, Task* task) const {
    task->max_slots = Threads(bytes);
    task->brief = task->max_slots == 1;
  }

  int Threads(int64_t bytes) const {
    return static_cast<int>(
        std::clamp<int64_t>(bytes / kBytesPerThread, 1, state_->scheduler->slots()));
  }

  // A stage that wants all cores of many starts when most are free: what is left of the stages
  // before it must not leave the others idle.
  int LeastSlots() const {
    const int slots = StageSlots(node_, state_->scheduler->slots());
    const bool wants_many = slots == state_->scheduler->slots() && slots > kFewCores;
    return wants_many && !node_.is_split() ? (slots * 3 + 3) / 4 : slots;
  }

  Json MessageOf(int64_t part) const {
    Json message = {{"type", "task"},
                    {"kind", "stage"},
                    {"stage", node_.name},
                    {"job", state_->description->job},
                    {"set", state_->description->SetTexts()},
                    {"code", state_->store->CodePath(state_->record->id)},
                    {"mode", ModeName(node_.mode)},
                    {"by", node_.by},
                    {"partitions", tasks_},
                    {"inputs", InputsOf(part)},
                    {"outputs", OutputsOf(part)}};
    if (node_.is_split()) message["partition"] = part;
    return message;
  }

  Status AddTasks() {
    left_ = 0;
    for (int64_t part = 0; part < tasks_; ++part) {
      if (finished_.contains(part)) continue;
      ++left_;
      Task task;
      task.start = node_.fork ? worker::Start::kFork : worker::Start::kExec;
      task.make_message = [self = shared_from_this(), part] { return self->MessageOf(part); };
      if (node_.is_split()) task.partition = part;
      task.node = node_.name;
      task.priority = state_->priority[At(index_)];
      task.min_slots = LeastSlots();
      // However many cores are free when it starts: the same threads, the same result.
      task.max_slots = task.threads = StageSlots(node_, state_->scheduler->slots());
      task.timeout_ms = node_.timeout_ms;
      task.timeout_remedy = "Find what it waits for, or raise timeout= of hy.stage.";
      task.on_done = [self = shared_from_this()](const Json& done) {
        ++self->progress_.tasks_done;
        self->CountRows(done);
        return --self->left_ == 0 ? self->AddCommits() : Status::OK();
      };
      state_->scheduler->Add(std::move(task));
    }
    return Status::OK();
  }

  void CountRows(const Json& done) {
    const auto result = done.find("result");
    if (result == done.end() || !result->contains("parts")) return;
    for (const Json& part : (*result)["parts"]) progress_.rows += part.value("rows", int64_t{0});
  }

  Json InputsOf(int64_t part) const {
    Json inputs = Json::array();
    auto frame = frames_.begin();
    for (const Input& input : node_.inputs) {
      Json one = {{"param", input.param}};
      if (input.is_value()) {
        one["mode"] = "value";
        if (input.value.is_object()) one.update(input.value);
        inputs.push_back(std::move(one));
        continue;
      }
      const FrameInput& found = *frame++;
      one["frame"] = found.dir;
      one["as"] = input.as;
      if (!found.split) {
        one["mode"] = "whole";
        if (!found.map.empty()) one["map"] = found.map;
      } else if (node_.mode == Mode::kRows) {
        one["mode"] = "rows";
        one["start"] = part * node_.rows;
        one["stop"] = std::min((part + 1) * node_.rows, found.manifest->rows);
      } else {
        one["mode"] = "partition";
        one["partition"] = part;
      }
      inputs.push_back(std::move(one));
    }
    return inputs;
  }

  Json OutputsOf(int64_t part) const {
    Json outputs = Json::array();
    for (int64_t i = 0; i < node_.num_outputs(); ++i) {
      outputs.push_back({{"name", node_.outputs.empty() ? node_.name : node_.outputs[At(i)]},
                         {"dir", planned_.dirs[At(i)]},
                         {"part", part}});
    }
    return outputs;
  }

  Status AddCommits() {
    left_ = 0;
    for (int64_t i = 0; i < node_.num_outputs(); ++i) {
      if (planned_.manifests[At(i)]) continue;  // the run before got as far as this one's commit
      ++left_;
      Task task = NativeTask("commit");
      task.brief = true;
      task.message["dir"] = planned_.dirs[At(i)];
      task.message["commit"] =
          CommitMessage(node_.FrameName(i), planned_.key, planned_.key_parts, tasks_);
      task.on_done = [self = shared_from_this()](const Json&) {
        return --self->left_ == 0 ? self->Finish() : Status::OK();
      };
      state_->scheduler->Add(std::move(task));
    }
    return left_ == 0 ? Finish() : Status::OK();
  }

  Status Finish() {
    ARROW_RETURN_NOT_OK(TakeCommitted(state_, index_));
    AddSyncs(state_, index_);
    return Status::OK();
  }

  RunState* state_;
  int64_t index_;
  const Node& node_;
  PlannedNode& planned_;
  observe::StageState& progress_;
  std::vector<FrameInput> frames_;
  std::set<int64_t> finished_;
  int64_t tasks_ = 0;
  int64_t waiting_ = 0;  // shared work that is not there yet
  int64_t left_ = 0;     // tasks, then commits
};

}  // namespace

int StageSlots(const Node& node, int slots) {
  if (node.cores > 0) return static_cast<int>(std::min<int64_t>(node.cores, slots));
  return node.is_split() ? 1 : slots;
}

Status StartStage(RunState* state, int64_t node) {
  return std::make_shared<StageRun>(state, node)->Start();
}

}  // namespace hayate::job
