#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hayate/csv/block_reader.h"
#include "hayate/csv/cell_rules.h"
#include "hayate/csv/slab.h"
#include "hayate/csv/text_block.h"
#include "hayate/ingest/csv_types.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// The CSV shards of a source as a pipeline reads them.
class CsvSource {
 public:
  /// Reads the header of the first shard and, for columns without a declared type, the start of up
  /// to eight shards. `objects` and `meter` must outlive it.
  static Result<std::unique_ptr<CsvSource>> Make(const std::vector<source::Object>& objects,
                                                 const csv::ReadOptions& options, Meter* meter);

  /// Shards whose columns and types are known: nothing is read beforehand. What was looked for in
  /// the first shard has to be said in `options`.
  static std::unique_ptr<CsvSource> Make(const std::vector<source::Object>& objects,
                                         const csv::ReadOptions& options,
                                         std::vector<CsvColumn> columns, source::Opener opener,
                                         Meter* meter);

  /// From any thread.
  Result<std::unique_ptr<ShardReader>> Open(int64_t shard);

  CsvTypes* types() { return types_.get(); }
  Rejected* rejected() { return &rejected_; }
  /// The options that the shards are read with, those that were found among them.
  const csv::ReadOptions& options() const { return options_; }
  /// What was found, for people; empty where nothing was looked for.
  const std::string& found() const { return found_; }

 private:
  CsvSource(const std::vector<source::Object>& objects, const csv::ReadOptions& options,
            std::string found, source::Opener opener, Meter* meter);
  Result<std::unique_ptr<csv::BlockReader>> OpenBlocks(const source::Object& object,
                                                       const csv::ReadOptions& options,
                                                       Meter* meter) const;
  Result<std::unique_ptr<csv::BlockReader>> OpenSample(int64_t shard, int64_t block_bytes,
                                                       std::vector<int>* fields);
  Status FindTextColumns();
  Status Sample();
  Status SampleShard(int64_t shard);

  const std::vector<source::Object>& objects_;
  const csv::ReadOptions options_;
  const std::string found_;
  const csv::CellRules rules_;
  const source::Opener opener_;
  Meter* const meter_;
  const std::shared_ptr<csv::BlockPool> pool_;
  const std::shared_ptr<csv::SlabPool> slabs_;
  std::vector<CsvColumn> columns_;
  std::unique_ptr<CsvTypes> types_;
  Rejected rejected_;
};

}  // namespace hayate::ingest
