#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/csv/options.h"

namespace hayate::ingest {

/// A column to be read.
struct CsvColumn {
  std::string name;
  std::shared_ptr<arrow::DataType> declared;  ///< by schema=; null: to be inferred
};

/// The columns of a source: options.columns, or all of the first shard's header. Fault::kInput
/// names a column of `columns=` or `schema=` that the header lacks.
Result<std::vector<CsvColumn>> ResolveColumns(const csv::ReadOptions& options,
                                              const std::vector<std::string>& header,
                                              const std::string& first_shard);

/// For each column its field in a shard with this header. A column that is missing there, or (when
/// all are read) one that the first shard lacks, is Fault::kInput naming it and both shards.
Result<std::vector<int>> MapColumns(const std::vector<CsvColumn>& columns, bool all_columns,
                                    const std::vector<std::string>& header,
                                    const std::string& shard, const std::string& first_shard);

}  // namespace hayate::ingest
