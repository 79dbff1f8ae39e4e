#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/csv/infer.h"
#include "hayate/ingest/csv_columns.h"

namespace hayate::ingest {

/// The types of a source's columns while it is read: those of the schema are fixed, those inferred
/// from a sample are checked on every value. A value that does not fit makes its column loose: the
/// rest of the pass only collects what classes of values there are, and the next pass reads with a
/// type that holds all of them. The outcome depends on the data alone, not on the order of reading.
class CsvTypes {
 public:
  explicit CsvTypes(std::vector<CsvColumn> columns);

  size_t size() const { return columns_.size(); }
  const std::string& name(size_t column) const { return columns_[column].name; }
  bool is_inferred(size_t column) const { return columns_[column].declared == nullptr; }
  /// Type to read with in this pass; null: open, as only nulls (or nearly that, infer.h) were seen.
  const std::shared_ptr<arrow::DataType>& type(size_t column) const { return types_[column]; }
  bool any_inferred() const;
  /// Whether all cells of the column are to be noted: it has become a string, and a person shall be
  /// told why, by the first cells of all.
  bool needs_reason(size_t column) const;

  /// Schema of this pass's batches; columns of nulls only are string.
  std::shared_ptr<arrow::Schema> schema() const;
  /// What the types of this pass are, null where unknown: two parts with equal states go together.
  Json states() const;

  /// Before the first pass: a column of text, in which other values are no surprise.
  void SetText(size_t column) { text_[column] = true; }

  /// During a pass, from any thread.
  bool is_loose(size_t column) const { return loose_[column]; }
  bool any_loose() const { return any_loose_; }
  /// A surprise, or more from a column that is loose already.
  void Loosen(size_t column, const csv::ColumnEvidence& evidence);
  /// Something to remember that does not change the type of this pass (what a sample holds, an
  /// inexact integer).
  void Note(size_t column, const csv::ColumnEvidence& evidence);
  csv::ColumnEvidence evidence(size_t column) const;

  /// Before the first pass: chooses the types to begin with from what was noted.
  void Begin();
  /// Between passes: chooses the types from all evidence. False if they are as they were.
  bool Settle();

  /// Before the only pass of a stream: types stay as they are, and a value that does not fit is an
  /// error. Columns whose type is still open are string.
  void Fix();
  bool is_fixed() const { return fixed_; }

  /// One sentence a column that became a string for a reason that a person should know.
  std::vector<std::string> Warnings() const;

 private:
  const std::vector<CsvColumn> columns_;
  std::vector<std::shared_ptr<arrow::DataType>> types_;
  std::vector<bool> text_;
  bool fixed_ = false;
  std::vector<std::atomic<bool>> loose_;
  std::atomic<bool> any_loose_ = false;
  mutable std::mutex mutex_;
  std::vector<csv::ColumnEvidence> evidence_;
};

}  // namespace hayate::ingest
