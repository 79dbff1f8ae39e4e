#pragma once

#include <memory>
#include <vector>

#include "hayate/csv/cell_rules.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/infer.h"
#include "hayate/csv/text_block.h"
#include "hayate/ingest/csv_types.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"

namespace hayate::ingest {

/// A block of text → a record batch with the types of this pass.
class CsvTask : public BlockTask {
 public:
  /// What all tasks of a shard share.
  struct Shard {
    int64_t number = 0;
    std::vector<int> fields;  ///< by column of `types`
    CsvTypes* types = nullptr;
    const csv::CellRules* rules = nullptr;
    std::shared_ptr<csv::BlockPool> pool;
    Meter* meter = nullptr;
  };

  CsvTask(std::shared_ptr<const Shard> shard, std::unique_ptr<csv::TextBlock> block)
      : shard_(std::move(shard)), block_(std::move(block)) {}
  ~CsvTask() override;

  Result<std::shared_ptr<arrow::RecordBatch>> Run() override;

 private:
  struct FirstBad;
  using Converters = std::vector<std::unique_ptr<csv::ColumnConverter>>;
  Result<Converters> MakeConverters() const;
  Result<std::shared_ptr<arrow::Array>> ColumnOf(size_t column, csv::ColumnConverter* converter,
                                                 FirstBad* first_bad);
  bool IsAllNull(int field) const;
  csv::ColumnEvidence Classified(size_t column) const;

  const std::shared_ptr<const Shard> shard_;
  std::unique_ptr<csv::TextBlock> block_;
};

}  // namespace hayate::ingest
