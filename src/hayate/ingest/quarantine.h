#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/csv/options.h"
#include "hayate/csv/text_block.h"

namespace hayate::ingest {

/// The folder in that of a frame where the rows that were put aside are a frame of their own.
inline constexpr const char* kQuarantineFolder = "quarantine";

/// object: string; row, line: int64, in the object, from 1; column: string, null where it is about
/// the row as a whole; reason: string; text: string, as it is written, bytes that are not UTF-8 as
/// \xNN.
std::shared_ptr<arrow::Schema> QuarantineSchema();

/// Rows that were put aside, as a batch of that schema.
Result<std::shared_ptr<arrow::RecordBatch>> QuarantineBatch(const std::string& object,
                                                            const std::vector<csv::BadRow>& rows);

/// What earlier runs have put aside in `dir`, of which shards.
struct PutAside {
  std::set<int64_t> shards;
  bool committed = false;  ///< nothing can be added
};
Result<PutAside> FindPutAside(const std::string& dir);
Status ClearPutAside(const std::string& dir);

/// Commits the rows that were put aside while a frame's parts were written to `dir`, and returns
/// how many they are; 0 where nothing is put aside. Before the frame itself is committed, so that
/// it never stands without them. `durable`: see frame::CommitOptions.
Result<int64_t> CommitQuarantine(const std::string& dir, const std::string& key, bool durable);
/// As frame::MakeDurable, of what was put aside beside the frame in `dir`, if anything was.
Status MakeQuarantineDurable(const std::string& dir);

/// What a source's shards have that could not be read, counted. Any thread.
class Rejected {
 public:
  /// A value, which is null now.
  void AddValue(int64_t shard, const std::string& object, const std::string& column, int64_t row,
                const std::string& what);
  /// A row that was left out or put aside.
  void AddRow(int64_t shard, const std::string& object, const csv::BadRow& row);

  /// Before the shards are read once more.
  void Clear();
  /// Of one shard, and back again: a part that is kept brings along what was counted for it.
  Json ToJson(int64_t shard) const;
  Status Restore(int64_t shard, const Json& json, const std::string& name);

  /// A sentence a column, and one for the rows, naming the first place of all.
  std::vector<std::string> Warnings(csv::OnError on_error) const;

 private:
  struct Count {
    int64_t number = 0;
    int64_t row = 0;  // of the first
    std::string what;
    std::string object;
  };
  void Add(int64_t shard, const std::string& column, Count count);

  mutable std::mutex mutex_;
  // By column (empty: rows), then by shard.
  std::map<std::pair<std::string, int64_t>, Count> counts_;
};

}  // namespace hayate::ingest
