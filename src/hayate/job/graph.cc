#include "hayate/job/graph.h"

#include <algorithm>
#include <set>

namespace hayate::job {
namespace {

// A frame's directory is the name, a hyphen and 16 digits; file names end at 255 bytes.
constexpr size_t kMaxNameBytes = 200;

bool NamesADirectory(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.front() == '.') return false;
  return std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == '/'; });
}

std::string Joined(const std::vector<std::string>& names, const std::string& between) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : between) + name;
  return text;
}

}  // namespace

Result<Graph> Graph::Make(const Description& description) {
  Graph graph(&description);
  ARROW_RETURN_NOT_OK(graph.CheckNames());
  ARROW_RETURN_NOT_OK(graph.Link());
  ARROW_RETURN_NOT_OK(graph.Sort());
  return graph;
}

Status Graph::CheckNames() const {
  std::set<std::string> seen;
  for (const Node& node : description_->nodes) {
    const Where where{.object = description_->job, .line = node.line};
    for (int64_t i = 0; i < node.num_outputs(); ++i) {
      if (NamesADirectory(node.FrameName(i))) continue;
      return Fail(Fault::kUsage, "\"" + node.FrameName(i) + "\" cannot name a frame", where,
                  "Give it a name of 1 to 200 bytes without a slash or a leading dot.");
    }
    if (!seen.insert(node.name).second) {
      return Fail(Fault::kUsage, "two nodes are called \"" + node.name + "\"", where,
                  "Give one of them another name (name=).");
    }
    if (!node.is_source()) ARROW_RETURN_NOT_OK(CheckStage(node));
  }
  return Status::OK();
}

Status Graph::CheckStage(const Node& node) const {
  const Where where{.object = description_->job, .line = node.line, .stage = node.name};
  for (const std::string& param : node.split) {
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(), [&](const Input& input) {
      return input.param == param && !input.is_value();
    });
    if (!reads) {
      return Fail(Fault::kUsage, "split= names \"" + param + "\", which the stage does not read",
                  where, "Name parameters that read a source or a stage.");
    }
  }
  if (node.is_split() && node.split.empty()) {
    return Fail(Fault::kUsage, "the stage is split but reads no frame", where,
                "Give it a parameter that names a source or a stage.");
  }
  if (node.mode == Mode::kRows && node.split.size() > 1) {
    return Fail(Fault::kUsage, "rows= cannot split two inputs alike", where,
                "Split one input, or split both by a key with partition_by=.");
  }
  if (node.mode == Mode::kRows && node.rows < 1) {
    return Fail(Fault::kUsage, "rows= has to be at least 1", where, "Give rows per slice.");
  }
  if ((node.mode == Mode::kPartition || node.mode == Mode::kGroup) && node.by.empty()) {
    return Fail(Fault::kUsage, "the stage is split by a key but names no column", where,
                "Name a column in partition_by= or group_by=.");
  }
  return Status::OK();
}

Result<int64_t> Graph::Named(const std::string& name) const {
  const int64_t index = description_->Find(name);
  if (index >= 0) return index;
  std::vector<std::string> names;
  for (const Node& node : description_->nodes) names.push_back(node.name);
  return Fail(Fault::kUsage, "the job has no \"" + name + "\"", {.object = description_->job},
              "It has: " + Joined(names, ", ") + ".");
}

Status Graph::Link() {
  const size_t count = description_->nodes.size();
  reads_.resize(count);
  readers_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Node& node = description_->nodes[i];
    for (const Input& input : node.inputs) {
      if (input.is_value()) continue;
      const int64_t source = description_->Find(input.node);
      const Where where{.object = description_->job, .line = node.line, .stage = node.name};
      if (source < 0) {
        return Fail(Fault::kUsage, "it reads \"" + input.node + "\", which nothing makes", where,
                    "Name a source, a stage or a parameter of the job.");
      }
      if (input.output < 0 || input.output >= description_->nodes[At(source)].num_outputs()) {
        return Fail(Fault::kUsage,
                    "it reads output " + std::to_string(input.output) + " of \"" + input.node +
                        "\", which has fewer",
                    where, "Name one of its outputs.");
      }
      auto& reads = reads_[i];
      if (std::find(reads.begin(), reads.end(), source) != reads.end()) continue;
      reads.push_back(source);
      readers_[At(source)].push_back(static_cast<int64_t>(i));
    }
  }
  for (const Output& output : description_->outputs) {
    ARROW_RETURN_NOT_OK(Named(output.node).status());
  }
  return Status::OK();
}

Status Graph::Sort() {
  // Depth first in the order of the file; an open node that is met again closes a cycle.
  enum class Mark { kNew, kOpen, kDone };
  const size_t count = description_->nodes.size();
  std::vector<Mark> marks(count, Mark::kNew);
  struct Frame {
    int64_t node;
    size_t next;
  };
  for (size_t root = 0; root < count; ++root) {
    if (marks[root] != Mark::kNew) continue;
    std::vector<Frame> path = {{static_cast<int64_t>(root), 0}};
    marks[root] = Mark::kOpen;
    while (!path.empty()) {
      const int64_t node = path.back().node;
      if (path.back().next == reads(node).size()) {
        marks[At(node)] = Mark::kDone;
        order_.push_back(node);
        path.pop_back();
        continue;
      }
      const int64_t next = reads(node)[path.back().next++];
      if (marks[At(next)] == Mark::kDone) continue;
      if (marks[At(next)] == Mark::kNew) {
        marks[At(next)] = Mark::kOpen;
        path.push_back({next, 0});
        continue;
      }
      std::vector<std::string> names;
      bool inside = false;
      for (const Frame& frame : path) {
        inside = inside || frame.node == next;
        if (inside) names.push_back(description_->nodes[At(frame.node)].name);
      }
      names.push_back(description_->nodes[At(next)].name);
      return Fail(Fault::kUsage, "the stages read each other in a cycle: " + Joined(names, " ← "),
                  {.object = description_->job, .line = description_->nodes[At(next)].line},
                  "Break the cycle: a stage cannot read what it helps to make.");
    }
  }
  return Status::OK();
}

Result<std::vector<bool>> Graph::Select(const std::vector<std::string>& targets) const {
  std::vector<bool> selected(description_->nodes.size(), false);
  std::vector<int64_t> queue;
  if (targets.empty()) {
    for (size_t i = 0; i < description_->nodes.size(); ++i) {
      if (!description_->nodes[i].is_source()) queue.push_back(static_cast<int64_t>(i));
    }
    for (const Output& output : description_->outputs) {
      queue.push_back(description_->Find(output.node));
    }
    // A job of sources alone fetches them.
    if (queue.empty()) queue = order_;
  }
  for (const std::string& target : targets) {
    ARROW_ASSIGN_OR_RAISE(const int64_t node, Named(target));
    queue.push_back(node);
  }
  while (!queue.empty()) {
    const int64_t node = queue.back();
    queue.pop_back();
    if (selected[At(node)]) continue;
    selected[At(node)] = true;
    queue.insert(queue.end(), reads(node).begin(), reads(node).end());
  }
  return selected;
}

Result<std::vector<bool>> Graph::Downstream(const std::vector<std::string>& from) const {
  std::vector<bool> selected(description_->nodes.size(), false);
  std::vector<int64_t> queue;
  for (const std::string& name : from) {
    ARROW_ASSIGN_OR_RAISE(const int64_t node, Named(name));
    queue.push_back(node);
  }
  while (!queue.empty()) {
    const int64_t node = queue.back();
    queue.pop_back();
    if (selected[At(node)]) continue;
    selected[At(node)] = true;
    queue.insert(queue.end(), readers(node).begin(), readers(node).end());
  }
  return selected;
}

}  // namespace hayate::job
