#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::frame {

/// Version of the on-disk format (docs/formats/frame.md); part of every key.
inline constexpr int kFrameFormat = 1;

/// How a part's bytes are to be read.
///   "arrow"  an Arrow IPC file; the only codec of a frame that is a table
///   others   one Python value a file: "json", "npy", "lightgbm", "xgboost", "skops", "cloudpickle"
using Codec = std::string;

/// One file of a frame, and what was known when it was written. Stands beside the part as
/// `part-00007.json` (its sidecar) until the frame is committed: a part without one does not exist.
struct Part {
  int64_t number = 0;
  std::string file;  ///< "part-00007.arrow"
  Codec codec = "arrow";
  int64_t rows = 0;  ///< of a table; 0 for a value
  int64_t bytes = 0;
  std::string checksum;                   ///< XXH3-128 of the file
  std::shared_ptr<arrow::Schema> schema;  ///< of a table; null for a value
  /// Columns (by name) of integers, dictionaries or lists of them, in which some value has no exact
  /// double: they do not widen to double.
  std::vector<std::string> inexact_as_double;
  /// Columns of timestamps or durations with a value that finer units than this have no number for.
  std::map<std::string, arrow::TimeUnit::type> finest_unit;
  /// group_by only: for each group in the part, the input row at which it first appears and how
  /// many rows of this part are its result.
  std::vector<std::pair<int64_t, int64_t>> groups;
  /// Whatever the writer wants kept: metrics of a value, Python type of a result, …
  Json extra = Json::object();
  /// What the writer has to know to go on after an interruption. Not in a manifest.
  Json resume = Json::object();
};

/// `frame.json`: the only truth about what a frame holds. A directory without one is not a frame.
struct Manifest {
  std::string name;                 ///< stage or source, for people
  std::string key;                  ///< 32 hexadecimal digits: what made it
  Json key_parts = Json::object();  ///< component → digest; the reasons of a plan come from here
  std::shared_ptr<arrow::Schema> schema;  ///< of all parts together; null if the parts are values
  std::vector<Part> parts;                ///< by number
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string created;  ///< 2026-11-24T00:00:00Z
  std::vector<std::string> warnings;
  Json extra = Json::object();
  /// The machine's boot in which it was committed, until its parts are on the disk; then empty.
  std::string boot;

  bool is_table() const { return schema != nullptr; }
  /// Whether the power may have taken pages of its parts since it was committed: then only their
  /// checksums tell (Verify).
  bool needs_verify() const;
};

Json ToJson(const Part& part);
Result<Part> PartFromJson(const Json& json, const std::string& name);
Json ToJson(const Manifest& manifest);
Result<Manifest> ManifestFromJson(const Json& json, const std::string& name);

/// `<dir>/frame.json`. Fault::kInput if there is none, naming `dir`.
Result<Manifest> ReadManifest(const std::string& dir);
/// Written atomically: after this the frame exists. Synced if its parts are (no `boot`).
Status WriteManifest(const std::string& dir, const Manifest& manifest);

/// Number of the first part whose file is not there with its length; nullopt if all are. By stat.
std::optional<int64_t> FindMissingPart(const std::string& dir, const Manifest& manifest);

/// "part-00007.arrow", "part-00007.json" for (7, ".arrow"), (7, ".json").
std::string PartFileName(int64_t number, const std::string& extension);

}  // namespace hayate::frame
