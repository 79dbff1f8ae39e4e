#include "hayate/frame/row_labels.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <string>

#include "hayate/base/json.h"

namespace hayate::frame {
namespace {

// The name that Arrow gives to the column of an index without a name.
constexpr const char* kColumn = "__index_level_0__";
constexpr const char* kMetadata = "pandas";

// What pandas says about the schema; null if nothing.
Json Described(const arrow::Schema& schema) {
  if (!schema.metadata()) return nullptr;
  const auto text = schema.metadata()->Get(kMetadata);
  if (!text.ok()) return nullptr;
  const auto json = ParseJson(*text, kMetadata);
  return json.ok() ? *json : Json(nullptr);
}

bool IsLabels(const Json& column) {
  return column.is_object() && column.value("field_name", Json()) == kColumn &&
         column.value("name", Json()).is_null();
}

}  // namespace

bool HasRowLabels(const arrow::Schema& schema) {
  const auto field = schema.GetFieldByName(kColumn);
  if (!field || !arrow::is_integer(field->type()->id())) return false;
  const Json described = Described(schema);
  if (!described.is_object() ||
      described.value("index_columns", Json()) != Json::array({kColumn})) {
    return false;
  }
  const Json columns = described.value("columns", Json::array());
  return std::any_of(columns.begin(), columns.end(), IsLabels);
}

std::shared_ptr<arrow::Schema> WithoutRowLabels(const std::shared_ptr<arrow::Schema>& schema) {
  const int at = schema->GetFieldIndex(kColumn);
  arrow::FieldVector fields = schema->fields();
  if (at >= 0) fields.erase(fields.begin() + at);
  auto metadata = schema->metadata();
  if (HasRowLabels(*schema)) {
    Json described = Described(*schema);
    described["index_columns"] = Json::array();
    Json kept = Json::array();
    for (const Json& column : described["columns"]) {
      if (!IsLabels(column)) kept.push_back(column);
    }
    described["columns"] = kept;
    const auto changed = metadata->Copy();
    // Cannot fail: the key was found above.
    if (changed->Set(kMetadata, ToCanonicalText(described)).ok()) metadata = changed;
  }
  return arrow::schema(std::move(fields), metadata);
}

}  // namespace hayate::frame
