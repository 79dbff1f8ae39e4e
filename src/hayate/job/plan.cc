#include "hayate/job/plan.h"

#include <algorithm>
#include <filesystem>

#include "hayate/frame/writer.h"
#include "hayate/job/reasons.h"
#include "hayate/shuffle/shuffle.h"

namespace hayate::job {
namespace {

size_t At(int64_t index) { return static_cast<size_t>(index); }

std::string JoinNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += " " + name;
  return text;
}

class Planner {
 public:
  Planner(const Description& description, const Graph& graph, const Store& store,
          const PlanOptions& options, const PlanReads& reads)
      : description_(description), graph_(graph), store_(store), options_(options), reads_(reads) {}

  Result<Plan> Run() {
    ARROW_ASSIGN_OR_RAISE(selected_, graph_.Select(options_.targets));
    ARROW_ASSIGN_OR_RAISE(downstream_, graph_.Downstream(options_.from));
    plan_.nodes.resize(description_.nodes.size());
    for (const int64_t node : graph_.order()) {
      if (selected_[At(node)]) ARROW_RETURN_NOT_OK(Identify(node));
    }
    Decide();
    for (const int64_t node : graph_.order()) ARROW_RETURN_NOT_OK(Explain(node));
    return std::move(plan_);
  }

 private:
  Status Identify(int64_t index) {
    const Node& node = description_.nodes[At(index)];
    PlannedNode& planned = plan_.nodes[At(index)];
    if (node.is_query()) {
      planned.key_parts = QueryKeyParts(node);
    } else if (node.is_source()) {
      const std::string job_dir = std::filesystem::path(description_.job).parent_path().string();
      planned.listed_ns = NowNs();
      ARROW_ASSIGN_OR_RAISE(planned.files,
                            FindFiles(node, job_dir, store_, reads_.checksums, &plan_.warnings));
      planned.key_parts = SourceKeyParts(node, planned.files);
    } else {
      std::vector<std::string> keys;
      for (const Input& input : node.inputs) {
        keys.push_back(input.is_value() ? "" : plan_.nodes[At(description_.Find(input.node))].key);
      }
      planned.key_parts = StageKeyParts(node, keys);
    }
    planned.key = KeyOf(planned.key_parts);
    for (int64_t i = 0; i < node.num_outputs(); ++i) {
      planned.dirs.push_back(store_.FrameDir(node.FrameName(i), planned.key));
      FoundFrame found = store_.Find(node.FrameName(i), planned.key);
      ARROW_RETURN_NOT_OK(Verify(planned.dirs.back(), &found));
      planned.manifests.push_back(std::move(found.manifest));
      if (planned.trouble.empty()) planned.trouble = std::move(found.trouble);
    }
    return Status::OK();
  }

  // Where the machine went down before a frame was on the disk, only its checksums tell.
  Status Verify(const std::string& dir, FoundFrame* found) const {
    if (!found->manifest || !found->manifest->needs_verify()) return Status::OK();
    const Status whole = reads_.verify(dir);
    if (whole.ok()) {
      found->manifest->boot.clear();
      return Status::OK();
    }
    const Fault fault = FaultOf(whole);
    if (fault != Fault::kInput && fault != Fault::kStorage) return whole;
    *found = {.trouble = "its result was lost when the machine went down"};
    return Status::OK();
  }

  bool Wanted(int64_t index) const {
    const Node& node = description_.nodes[At(index)];
    if (!options_.targets.empty()) {
      return std::find(options_.targets.begin(), options_.targets.end(), node.name) !=
             options_.targets.end();
    }
    const auto& readers = graph_.readers(index);
    const bool last = std::none_of(readers.begin(), readers.end(),
                                   [&](int64_t reader) { return selected_[At(reader)]; });
    return last || std::any_of(description_.outputs.begin(), description_.outputs.end(),
                               [&](const Output& output) { return output.node == node.name; });
  }

  // From the last node to the first: what nothing needs does not run.
  void Decide() {
    const auto& order = graph_.order();
    for (auto node = order.rbegin(); node != order.rend(); ++node) {
      if (!selected_[At(*node)]) continue;
      PlannedNode& planned = plan_.nodes[At(*node)];
      planned.forced = options_.fresh || downstream_[At(*node)];
      const auto& readers = graph_.readers(*node);
      const bool needed = Wanted(*node) || planned.forced ||
                          std::any_of(readers.begin(), readers.end(), [&](int64_t reader) {
                            return plan_.nodes[At(reader)].state == PlannedNode::State::kRun;
                          });
      if (needed && (planned.forced || !planned.committed())) {
        planned.state = PlannedNode::State::kRun;
      } else if (planned.committed()) {
        planned.state = PlannedNode::State::kKept;
      }
    }
  }

  Status Explain(int64_t index) {
    PlannedNode& planned = plan_.nodes[At(index)];
    switch (planned.state) {
      case PlannedNode::State::kUnused:
        planned.reason = "not needed";
        return Status::OK();
      case PlannedNode::State::kKept:
        planned.reason = "nothing changed";
        return Status::OK();
      case PlannedNode::State::kRun:
        break;
    }
    if (options_.fresh || planned.forced) {
      planned.reason = options_.fresh ? "asked for (--fresh)"
                                      : "asked for (--from" + JoinNames(options_.from) + ")";
      return Status::OK();
    }
    planned.reason = planned.trouble;
    if (!planned.reason.empty()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(planned.reason, Unfinished(index));
    if (!planned.reason.empty()) return Status::OK();
    const Node& node = description_.nodes[At(index)];
    if (!node.rerun.empty()) {
      planned.reason = node.rerun;
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const auto newest, store_.Newest(node.FrameName(0)));
    if (!newest) {
      planned.reason = "never ran";
      return Status::OK();
    }
    const auto manifest = frame::ReadManifest(newest->dir);
    if (!manifest.ok()) {
      planned.reason = "its last result cannot be read";
      return Status::OK();
    }
    planned.reason = DescribeDifference(manifest->key_parts, planned.key_parts);
    if (planned.reason.empty()) planned.reason = "a part of its result is missing";
    return Status::OK();
  }

  // "unfinished: 12 of 40 partitions done" where a run with the same key was cut short.
  Result<std::string> Unfinished(int64_t index) const {
    const Node& node = description_.nodes[At(index)];
    const PlannedNode& planned = plan_.nodes[At(index)];
    // What a query has left is of no use: it begins anew.
    if (planned.manifests.front() || node.is_query()) return std::string();
    ARROW_ASSIGN_OR_RAISE(const auto finished, frame::FinishedParts(planned.dirs.front()));
    ARROW_ASSIGN_OR_RAISE(const auto unchecked, frame::UncheckedParts(planned.dirs.front()));
    const size_t parts = finished.size() + unchecked.size();
    if (parts == 0) return std::string();
    std::vector<const frame::Manifest*> split;
    for (const Input& input : node.inputs) {
      if (input.is_value() || !node.Splits(input.param)) continue;
      const auto& manifest =
          plan_.nodes[At(description_.Find(input.node))].manifests[At(input.output)];
      if (manifest) split.push_back(&*manifest);
    }
    std::string text = "unfinished: " + std::to_string(parts);
    const char* noun = node.is_source() ? " shards done" : " partitions done";
    if (node.is_source()) {
      text += " of " + std::to_string(planned.files.size());
    } else if (node.is_split() && split.size() == node.split.size()) {
      text += " of " + std::to_string(CountTasks(node, split));
    }
    return text + noun;
  }

  const Description& description_;
  const Graph& graph_;
  const Store& store_;
  const PlanOptions& options_;
  const PlanReads& reads_;
  std::vector<bool> selected_;
  std::vector<bool> downstream_;
  Plan plan_;
};

}  // namespace

bool PlannedNode::committed() const {
  return !manifests.empty() && std::all_of(manifests.begin(), manifests.end(),
                                           [](const auto& one) { return one.has_value(); });
}

Result<Plan> Plan::Make(const Description& description, const Graph& graph, const Store& store,
                        const PlanOptions& options, const PlanReads& reads) {
  return Planner(description, graph, store, options, reads).Run();
}

int64_t Plan::CountToRun() const {
  return std::count_if(nodes.begin(), nodes.end(), [](const PlannedNode& node) {
    return node.state == PlannedNode::State::kRun;
  });
}

int64_t CountTasks(const Node& node, const std::vector<const frame::Manifest*>& split) {
  if (!node.is_split()) return 1;
  int64_t rows = 0;
  int64_t bytes = 0;
  for (const frame::Manifest* manifest : split) {
    rows += manifest->rows;
    bytes += manifest->bytes;
  }
  if (node.mode == Mode::kRows) return std::max<int64_t>(1, (rows + node.rows - 1) / node.rows);
  return std::max<int64_t>(1, shuffle::PartitionCount(rows, bytes));
}

Status CheckTaskCount(int64_t tasks, int64_t rows_per_task, Where where) {
  constexpr int64_t kMostTasks = 100'000;
  if (tasks <= kMostTasks) return Status::OK();
  const int64_t rows = rows_per_task * ((tasks + kMostTasks - 1) / kMostTasks);
  const std::string remedy = rows > 0 ? "Write rows=" + std::to_string(rows) + " or more."
                                      : "Give fewer items, with more work in each.";
  return Fail(Fault::kUsage,
              "it would be " + std::to_string(tasks) + " tasks, more than the " +
                  std::to_string(kMostTasks) + " that a stage may have",
              std::move(where), remedy);
}

}  // namespace hayate::job
