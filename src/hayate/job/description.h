#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::job {

/// How a stage's input is cut into tasks.
enum class Mode {
  kOnce,       ///< one task, everything whole
  kPartition,  ///< one task per partition of a key, many groups in each
  kGroup,      ///< as kPartition, one call per key inside the task
  kRows,       ///< one task per slice of rows
};

/// "once", "partition", "group", "rows": the words of the protocol.
std::string_view ModeName(Mode mode);

/// What one parameter of a stage reads: a node's output, or a value.
struct Input {
  std::string param;
  std::string node;  ///< empty: a value
  int64_t output = 0;
  Json as;     ///< "pandas", "polars", "arrow", "frame" or null
  Json value;  ///< {"type", "value"} where `node` is empty
  bool is_value() const { return node.empty(); }
};

/// A parameter of the job with the value that this run gives it.
struct Parameter {
  std::string name;
  std::string type;
  Json value;
};

/// A source or a stage.
struct Node {
  enum class Kind { kSource, kStage };
  Kind kind = Kind::kStage;
  std::string name;
  int64_t line = 0;

  // Sources.
  std::string format;
  std::vector<std::string> paths;
  Json options = Json::object();
  bool allow_empty = false;
  int64_t min_rows = 0;
  // Instead of paths, a query to a service, which a Python worker runs.
  Json query;                 ///< what that worker is told; null: files
  Json key = Json::object();  ///< component → what stands for it in the key
  std::string rerun;          ///< why no earlier result counts; empty: one of the same key does

  // Stages.
  Mode mode = Mode::kOnce;
  std::vector<std::string> by;
  int64_t rows = 0;
  std::vector<std::string> split;  ///< parameters that are split
  int64_t cores = 0;               ///< of one call; 0: one for a split stage, all for kOnce
  int64_t timeout_ms = 0;          ///< of one call's task; 0: none
  bool fork = true;                ///< from the zygote; else a fresh interpreter
  std::vector<Input> inputs;
  std::vector<std::string> outputs;
  Json code = Json::object();

  bool is_source() const { return kind == Kind::kSource; }
  bool is_query() const { return !query.is_null(); }
  bool is_split() const { return mode != Mode::kOnce; }
  int64_t num_outputs() const;
  /// Name of output `index`'s frame: the node's, or "<node>.<output>" where there are several.
  std::string FrameName(int64_t index) const;
  bool Splits(const std::string& param) const;
};

/// A file or a table that the job writes.
struct Output {
  std::string node;
  int64_t output = 0;
  std::string path;  ///< of a table its URI
  int64_t line = 0;
  Json load;          ///< what the Python worker that loads a table is told; null: a file
  std::string state;  ///< what identifies the table's content as it is now; empty: there is none
  bool is_load() const { return !load.is_null(); }
};

/// What the planner says of a job file (docs/formats/job.md).
struct Description {
  std::string job;  ///< absolute path of the file
  std::string name;
  std::string python;
  std::vector<Parameter> params;
  std::vector<std::string> preload;
  std::vector<Node> nodes;
  std::vector<Output> outputs;
  Json sources = Json::object();  ///< path of a file of the project → digest of the text imported

  /// Index in `nodes`, or −1.
  int64_t Find(const std::string& node) const;
  /// Parameter → text, as `--set` gives it: what a worker's import of the job file is told.
  Json SetTexts() const;
  /// {"sources", "code"}: what the keys were made of, for the workers, which import the job later.
  Json PlannedCode() const;
};

/// Checks members and their types only; names and cycles are graph.h's.
Result<Description> DescriptionFromJson(const Json& json);

}  // namespace hayate::job
