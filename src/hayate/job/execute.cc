#include "hayate/job/execute.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "hayate/job/discard.h"
#include "hayate/job/run_state.h"
#include "hayate/observe/cpu_sampler.h"

namespace hayate::job {
namespace {

size_t At(int64_t index) { return static_cast<size_t>(index); }

class Executor {
 public:
  Executor(const ExecuteOptions& options, worker::WorkerPool* pool, observe::Progress* progress)
      : pool_(pool), tasks_(MakeTaskPool(pool)), progress_(progress) {
    SchedulerOptions scheduling;
    scheduling.slots = options.slots;
    scheduling.begin = options.begin;
    scheduling.memory = options.memory;
    scheduling.on_warning = options.on_warning;
    scheduling.on_log = options.on_log;
    scheduling.on_all_started = [this] { PrepareNext(); };
    scheduling.on_start = [this](const std::string& node) {
      if (!finished_.contains(node)) shown_.insert(node);
    };
    scheduling.on_task = [this](const TaskRecord& task) { state_.record->Add(task); };
    scheduling.on_tick = [this] { Tick(); };
    state_.on_warning = options.on_warning;
    scheduler_ = std::make_unique<Scheduler>(tasks_.get(), std::move(scheduling));
  }

  Status Run(const Description& description, const Graph& graph, const Store& store, Plan* plan,
             RunRecord* record) {
    state_.description = &description;
    state_.graph = &graph;
    state_.store = &store;
    state_.plan = plan;
    state_.scheduler = scheduler_.get();
    state_.record = record;
    state_.progress.resize(description.nodes.size());
    state_.priority.resize(description.nodes.size());
    state_.on_finished = [this](int64_t node) { Finish(node); };
    state_.on_committed = [this](int64_t node) { return OnCommitted(node); };
    for (size_t i = 0; i < graph.order().size(); ++i) {
      const int64_t node = graph.order()[i];
      state_.priority[At(node)] = static_cast<int64_t>(i);
      state_.progress[At(node)].name = state_.node(node).name;
    }
    ARROW_RETURN_NOT_OK(DiscardResults(description, graph, store, plan));
    WarmUp();
    for (const int64_t node : graph.order()) ARROW_RETURN_NOT_OK(Begin(node));
    const Status status = scheduler_->Run();
    if (!status.ok()) {
      for (const std::string& node : shown_) progress_->Finish(node, "stopped");
    }
    return status;
  }

 private:
  // The packages that stages import take seconds; meanwhile the sources are read.
  void WarmUp() {
    const auto& nodes = state_.description->nodes;
    bool fork = false;
    for (size_t i = 0; i < nodes.size(); ++i) {
      fork = fork || (state_.plan->nodes[i].state == PlannedNode::State::kRun &&
                      !nodes[i].is_source() && nodes[i].fork);
    }
    if (!fork) return;
    pool_->set_preload(state_.description->preload);
    // What is wrong with it shows, with its place, when a task needs it.
    (void)pool_->WarmUp();
  }

  bool Runs(int64_t node) const {
    return state_.plan->nodes[At(node)].state == PlannedNode::State::kRun;
  }

  Status Begin(int64_t node) {
    switch (state_.planned(node).state) {
      case PlannedNode::State::kUnused:
        return Status::OK();
      case PlannedNode::State::kKept:
        ARROW_RETURN_NOT_OK(CheckKept(node));
        AddSyncs(&state_, node);
        return StartOutputs(&state_, node);
      case PlannedNode::State::kRun:
        break;
    }
    const auto& reads = state_.graph->reads(node);
    const auto missing =
        std::count_if(reads.begin(), reads.end(), [&](int64_t read) { return Runs(read); });
    missing_[node] = missing;
    return missing == 0 ? Start(node) : Status::OK();
  }

  // What does not count for its key may have changed since it was read.
  Status CheckKept(int64_t index) const {
    const Node& node = state_.node(index);
    if (!node.is_source()) return Status::OK();
    const int64_t rows = state_.planned(index).manifests.front()->rows;
    const int64_t least = std::max<int64_t>(node.min_rows, node.allow_empty ? 0 : 1);
    if (rows >= least) return Status::OK();
    return Fail(Fault::kInput,
                "it has " + std::to_string(rows) + " rows, fewer than the " +
                    std::to_string(least) + " asked for",
                {.object = node.name, .line = node.line},
                "Check the input, or lower min_rows= (allow_empty=True allows none).");
  }

  // The interpreter of the next whole-frame stage starts while the last tasks that it waits for
  // run, so that its imports are not on the way of the job. One at a time: each holds memory.
  void PrepareNext() {
    for (const int64_t index : state_.graph->order()) {
      const Node& node = state_.node(index);
      if (!Runs(index) || node.is_source() || node.fork || node.is_split()) continue;
      if (started_.contains(index)) continue;
      const auto& reads = state_.graph->reads(index);
      const bool soon = std::all_of(reads.begin(), reads.end(), [&](int64_t read) {
        return !Runs(read) || started_.contains(read);
      });
      if (!soon) continue;
      if (!prepared_.insert(index).second) return;
      // What is wrong shows, with its place, when the task needs it.
      (void)pool_->Prepare({{"stage", node.name},
                            {"threads", StageSlots(node, scheduler_->slots())},
                            {"modules", state_.description->preload},
                            {"job", state_.description->job},
                            {"set", state_.description->SetTexts()}});
      return;
    }
  }

  Status Start(int64_t node) {
    started_.insert(node);
    return state_.node(node).is_source() ? StartSource(&state_, node) : StartStage(&state_, node);
  }

  Status OnCommitted(int64_t node) {
    ARROW_RETURN_NOT_OK(StartOutputs(&state_, node));
    for (const int64_t reader : state_.graph->readers(node)) {
      if (Runs(reader) && --missing_[reader] == 0) ARROW_RETURN_NOT_OK(Start(reader));
    }
    return Status::OK();
  }

  void Finish(int64_t node) {
    observe::StageState& state = state_.progress[At(node)];
    const auto& manifest = state_.planned(node).manifests.front();
    if (manifest && manifest->is_table()) state.rows = manifest->rows;
    progress_->Update(state);
    progress_->Finish(state.name, "done");
    shown_.erase(state.name);
    finished_.insert(state.name);
  }

  void Tick() {
    for (const observe::StageState& state : state_.progress) {
      if (shown_.contains(state.name) && !finished_.contains(state.name)) progress_->Update(state);
    }
    progress_->set_cores_busy(sampler_.CoresBusy(pool_->pids()));
    progress_->Tick();
  }

  worker::WorkerPool* pool_;
  std::unique_ptr<TaskPool> tasks_;
  observe::Progress* progress_;
  std::unique_ptr<Scheduler> scheduler_;
  RunState state_;
  std::set<int64_t> started_;
  std::set<int64_t> prepared_;
  std::map<int64_t, int64_t> missing_;  // frames that a node still waits for
  std::set<std::string> shown_;
  std::set<std::string> finished_;
  observe::CpuSampler sampler_;
};

}  // namespace

Status Execute(const ExecuteOptions& options, const Description& description, const Graph& graph,
               const Store& store, worker::WorkerPool* pool, Plan* plan, RunRecord* record,
               observe::Progress* progress) {
  return Executor(options, pool, progress).Run(description, graph, store, plan, record);
}

}  // namespace hayate::job
