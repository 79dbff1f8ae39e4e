#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/job/description.h"

namespace hayate::job {

/// A checked job as a graph. Nodes are indices into Description::nodes; immutable.
class Graph {
 public:
  /// Fault::kUsage, with the line in the job file: a name that is used twice, that nothing has or
  /// that cannot name a directory; a cycle, spelled out; `rows=` over two split inputs; `split=` of
  /// what the stage does not read.
  static Result<Graph> Make(const Description& description);

  /// Every node after those it reads.
  const std::vector<int64_t>& order() const { return order_; }
  /// The nodes that `node` reads, each once.
  const std::vector<int64_t>& reads(int64_t node) const { return reads_[At(node)]; }
  const std::vector<int64_t>& readers(int64_t node) const { return readers_[At(node)]; }

  /// `targets` with all that they need, as a flag per node. No targets: every stage, and what
  /// stages and outputs read. An unknown target is Fault::kUsage that lists the names.
  Result<std::vector<bool>> Select(const std::vector<std::string>& targets) const;
  /// `from` with all that depends on it, as a flag per node.
  Result<std::vector<bool>> Downstream(const std::vector<std::string>& from) const;

 private:
  explicit Graph(const Description* description) : description_(description) {}
  static size_t At(int64_t index) { return static_cast<size_t>(index); }
  Status CheckNames() const;
  Status CheckStage(const Node& node) const;
  Status Link();
  Status Sort();
  Result<int64_t> Named(const std::string& name) const;

  const Description* description_;
  std::vector<int64_t> order_;
  std::vector<std::vector<int64_t>> reads_;
  std::vector<std::vector<int64_t>> readers_;
};

}  // namespace hayate::job
