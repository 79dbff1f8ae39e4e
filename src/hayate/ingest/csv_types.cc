#include "hayate/ingest/csv_types.h"

#include <arrow/type.h>

#include <utility>

namespace hayate::ingest {

CsvTypes::CsvTypes(std::vector<CsvColumn> columns)
    : columns_(std::move(columns)),
      types_(columns_.size()),
      text_(columns_.size()),
      loose_(columns_.size()),
      evidence_(columns_.size()) {
  for (size_t i = 0; i < columns_.size(); ++i) types_[i] = columns_[i].declared;
}

bool CsvTypes::any_inferred() const {
  for (size_t i = 0; i < size(); ++i) {
    if (is_inferred(i)) return true;
  }
  return false;
}

std::shared_ptr<arrow::Schema> CsvTypes::schema() const {
  arrow::FieldVector fields;
  for (size_t i = 0; i < size(); ++i) {
    fields.push_back(arrow::field(name(i), types_[i] == nullptr ? arrow::utf8() : types_[i]));
  }
  return arrow::schema(std::move(fields));
}

Json CsvTypes::states() const {
  Json states = Json::array();
  for (size_t i = 0; i < size(); ++i) {
    states.push_back(Json::array({name(i), types_[i] == nullptr ? "null" : types_[i]->ToString()}));
  }
  return states;
}

bool CsvTypes::needs_reason(size_t column) const {
  const auto& type = types_[column];
  return is_inferred(column) && !text_[column] && type != nullptr &&
         type->id() == arrow::Type::STRING;
}

void CsvTypes::Fix() {
  fixed_ = true;
  for (auto& type : types_) {
    if (type == nullptr) type = arrow::utf8();
  }
}

void CsvTypes::Loosen(size_t column, const csv::ColumnEvidence& evidence) {
  Note(column, evidence);
  loose_[column] = true;
  any_loose_ = true;
}

void CsvTypes::Note(size_t column, const csv::ColumnEvidence& evidence) {
  const std::lock_guard<std::mutex> lock(mutex_);
  evidence_[column].Merge(evidence);
}

csv::ColumnEvidence CsvTypes::evidence(size_t column) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return evidence_[column];
}

void CsvTypes::Begin() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < size(); ++i) {
    if (is_inferred(i)) types_[i] = csv::TypeOf(evidence_[i].classes());
  }
}

bool CsvTypes::Settle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  bool changed = false;
  any_loose_ = false;
  for (size_t i = 0; i < size(); ++i) {
    loose_[i] = false;
    if (!is_inferred(i)) continue;
    auto type = csv::FinalTypeOf(evidence_[i].classes());
    changed |= (type == nullptr) != (types_[i] == nullptr) ||
               (type != nullptr && !type->Equals(*types_[i]));
    types_[i] = std::move(type);
  }
  return changed;
}

std::vector<std::string> CsvTypes::Warnings() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> warnings;
  for (size_t i = 0; i < size(); ++i) {
    if (!needs_reason(i)) continue;
    auto warning = csv::WideningWarning(name(i), evidence_[i]);
    if (warning) warnings.push_back(std::move(*warning));
  }
  return warnings;
}

}  // namespace hayate::ingest
