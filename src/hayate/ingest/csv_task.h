#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "hayate/csv/cell_rules.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/infer.h"
#include "hayate/csv/slab.h"
#include "hayate/csv/text_block.h"
#include "hayate/ingest/csv_types.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/ingest/quarantine.h"

namespace hayate::ingest {

/// A block of text → a record batch with the types of this pass, and what is put aside.
class CsvTask : public BlockTask {
 public:
  /// What all tasks of a shard share.
  struct Shard {
    int64_t number = 0;
    std::vector<int> fields;  ///< by column of `types`
    CsvTypes* types = nullptr;
    const csv::CellRules* rules = nullptr;
    std::shared_ptr<csv::BlockPool> pool;
    std::shared_ptr<csv::SlabPool> slabs;
    csv::OnError on_error = csv::OnError::kFail;
    Rejected* rejected = nullptr;
    Meter* meter = nullptr;
  };

  CsvTask(std::shared_ptr<const Shard> shard, std::unique_ptr<csv::TextBlock> block)
      : shard_(std::move(shard)), block_(std::move(block)) {}
  ~CsvTask() override;

  Result<Batches> Run() override;

 private:
  using Converters = std::vector<std::unique_ptr<csv::ColumnConverter>>;
  // A bad cell and its column.
  using BadCells = std::vector<std::pair<csv::BadCell, size_t>>;

  bool MayWiden(size_t column) const;
  Result<Converters> MakeConverters() const;
  Result<arrow::ArrayVector> Convert(BadCells* bad);
  Result<std::shared_ptr<arrow::Array>> ColumnOf(size_t column, csv::ColumnConverter* converter,
                                                 BadCells* bad);
  void NoteNulls(const BadCells& bad) const;
  void TakeOutRowsOf(BadCells bad);
  Result<Batches> ToBatches(arrow::ArrayVector arrays) const;
  bool IsAllNull(int field) const;
  csv::ColumnEvidence Classified(size_t column) const;

  const std::shared_ptr<const Shard> shard_;
  std::unique_ptr<csv::TextBlock> block_;
};

}  // namespace hayate::ingest
