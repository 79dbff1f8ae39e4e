#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::frame {

class FrameReader;

/// Gives the dictionary columns of several parts one dictionary each: its values in the order in
/// which the parts, in order, bring them. An ordered column stays so only if one part's dictionary
/// has the values of all others in their order: then it is that one. (Within a part all batches
/// have the same dictionary.) Immutable once made; any number of threads.
class DictionaryMerge {
 public:
  /// `samples`: of each part any batch, of `schema`; null for a part without batches.
  static Result<DictionaryMerge> Make(
      const std::shared_ptr<arrow::Schema>& schema,
      const std::vector<std::shared_ptr<arrow::RecordBatch>>& samples);
  /// Over all parts of a table frame.
  static Result<DictionaryMerge> Make(const FrameReader& frame,
                                      const std::shared_ptr<arrow::Schema>& schema);

  /// The schema that merged batches have: indices are wider where more values need it,
  /// and a column whose parts are ordered differently is not ordered.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  /// The merged dictionary of a dictionary column.
  const std::shared_ptr<arrow::Array>& dictionary(int column) const {
    return columns_[static_cast<size_t>(column)]->dictionary;
  }

  /// Column `column` of a batch of part `part` with the merged dictionary; other columns as they
  /// are.
  Result<std::shared_ptr<arrow::Array>> Apply(size_t part, int column,
                                              const std::shared_ptr<arrow::Array>& values) const;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(size_t part,
                                                    const arrow::RecordBatch& batch) const;

 private:
  struct Column {
    std::shared_ptr<arrow::Array> dictionary;
    /// By part: old index → new, int32. Empty when every part has this dictionary already.
    std::vector<std::shared_ptr<arrow::Buffer>> transpose;
    bool ordered = false;
  };

  Status Unify(int column, const std::vector<std::shared_ptr<arrow::RecordBatch>>& samples,
               const std::vector<size_t>& parts, Column* merged) const;
  Result<Column> MergeColumn(int column,
                             const std::vector<std::shared_ptr<arrow::RecordBatch>>& samples);

  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::unique_ptr<Column>> columns_;  // null for columns that are no dictionaries
};

}  // namespace hayate::frame
