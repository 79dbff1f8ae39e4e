#include "hayate/frame/unify.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <map>
#include <set>

#include "hayate/frame/row_labels.h"
#include "hayate/frame/unify_types.h"

namespace hayate::frame {
namespace {

std::shared_ptr<const arrow::KeyValueMetadata> Metadata(const arrow::Schema& schema) {
  return schema.metadata();
}

// One column as the parts so far have agreed on it.
struct Column {
  std::shared_ptr<arrow::Field> field;
  const Part* first = nullptr;    // the part that first had this type
  int64_t seen = 0;               // parts that have the column
  const Part* inexact = nullptr;  // the first part with an integer that has no exact double
  // The first part with a time that has no number in units finer than this one.
  const Part* coarse = nullptr;
  arrow::TimeUnit::type finest_unit = arrow::TimeUnit::NANO;

  void AddLimits(const Part& part) {
    const auto& inexact_columns = part.inexact_as_double;
    if (inexact == nullptr && std::find(inexact_columns.begin(), inexact_columns.end(),
                                        field->name()) != inexact_columns.end()) {
      inexact = &part;
    }
    const auto unit = part.finest_unit.find(field->name());
    if (unit != part.finest_unit.end() && unit->second < finest_unit) {
      coarse = &part;
      finest_unit = unit->second;
    }
  }

  // The part with a value that `type` cannot hold; null if there is none.
  const Part* WithoutRoomIn(const arrow::DataType& type) const {
    switch (type.id()) {
      case arrow::Type::DOUBLE:
        return inexact;
      case arrow::Type::TIMESTAMP:
        return static_cast<const arrow::TimestampType&>(type).unit() > finest_unit ? coarse
                                                                                   : nullptr;
      case arrow::Type::DURATION:
        return static_cast<const arrow::DurationType&>(type).unit() > finest_unit ? coarse
                                                                                  : nullptr;
      default:
        return nullptr;
    }
  }
};

// What a partition without rows left: no call was made for it, so it is neither a table nor a
// value.
bool IsNothing(const Part& part) { return part.rows == 0 && part.schema->num_fields() == 0; }

// Row labels are kept if every part with rows has them; beside rows without they mean nothing.
bool KeepsRowLabels(const std::vector<const Part*>& tables) {
  return std::all_of(tables.begin(), tables.end(), [](const Part* part) {
    return part->rows == 0 || HasRowLabels(*part->schema);
  });
}

class Unifier {
 public:
  Unifier(std::string stage, std::function<std::string(const Part&)> name_of)
      : stage_(std::move(stage)), name_of_(std::move(name_of)) {}

  Status Add(const Part& part) {
    ++parts_;
    std::set<std::string> names;
    for (const auto& field : part.schema->fields()) {
      if (!names.insert(field->name()).second) {
        return Fail(Fault::kUserCode, "two columns have the same name",
                    {.column = field->name(), .stage = stage_, .partition = part.number},
                    "Rename one of them.");
      }
      ARROW_RETURN_NOT_OK(AddField(part, field));
    }
    return Status::OK();
  }

  /// Parts without rows bind no type: an empty pandas result knows none. They only add columns.
  void AddEmpty(const Part& part) {
    ++parts_;
    for (const auto& field : part.schema->fields()) {
      const auto found = index_.find(field->name());
      if (found == index_.end()) {
        Append(part, field);
        continue;
      }
      Column& column = columns_[found->second];
      ++column.seen;
      if (column.field->type()->id() == arrow::Type::NA) {
        column.field = column.field->WithType(field->type());
      }
    }
  }

  arrow::FieldVector Fields() const {
    arrow::FieldVector fields;
    for (const Column& column : columns_) {
      // A column that a part lacks is null there.
      fields.push_back(column.seen == parts_ ? column.field : column.field->WithNullable(true));
    }
    return fields;
  }

 private:
  std::string NameOf(const Part& part) const {
    return name_of_ ? name_of_(part) : "part " + std::to_string(part.number);
  }

  Status Conflict(const Column& column, const Part& part, const arrow::DataType& type,
                  const std::string& reason) const {
    return Fail(Fault::kUserCode,
                NameOf(part) + " has " + type.ToString() + ", " + NameOf(*column.first) + " has " +
                    column.field->type()->ToString() + reason,
                {.column = column.field->name(), .stage = stage_, .partition = part.number},
                "Return the same type from every partition, for instance with astype().");
  }

  void Append(const Part& part, const std::shared_ptr<arrow::Field>& field) {
    index_[field->name()] = columns_.size();
    Column column{.field = field, .first = &part, .seen = 1};
    column.AddLimits(part);
    columns_.push_back(std::move(column));
  }

  Status AddField(const Part& part, const std::shared_ptr<arrow::Field>& field) {
    const auto found = index_.find(field->name());
    if (found == index_.end()) {
      Append(part, field);
      return Status::OK();
    }
    Column& column = columns_[found->second];
    ++column.seen;
    column.AddLimits(part);
    const auto type = UnifyTypes(column.field->type(), field->type());
    if (!type) return Conflict(column, part, *field->type(), "");
    if (const Part* unfit = column.WithoutRoomIn(InnermostType(*type))) {
      return Conflict(column, part, *field->type(),
                      ", and " + NameOf(*unfit) + " holds a value that " +
                          InnermostType(*type).ToString() + " cannot hold");
    }
    if (column.field->type()->id() == arrow::Type::NA) column.first = &part;
    column.field =
        column.field->WithType(type)->WithNullable(column.field->nullable() || field->nullable());
    return Status::OK();
  }

  std::string stage_;
  std::function<std::string(const Part&)> name_of_;
  std::vector<Column> columns_;
  std::map<std::string, size_t> index_;
  int64_t parts_ = 0;
};

}  // namespace

Result<std::shared_ptr<arrow::Schema>> UnifySchemas(
    const std::vector<Part>& parts, const std::string& stage,
    const std::function<std::string(const Part&)>& name_of) {
  std::vector<const Part*> tables;
  std::vector<const Part*> nothings;
  for (const Part& part : parts) {
    if (part.schema) (IsNothing(part) ? nothings : tables).push_back(&part);
  }
  const bool all_tables = tables.size() + nothings.size() == parts.size();
  if (tables.empty()) return all_tables && !parts.empty() ? parts.front().schema : nullptr;
  if (!all_tables) {
    const auto value =
        std::find_if(parts.begin(), parts.end(), [](const Part& p) { return !p.schema; });
    return Fail(Fault::kUserCode,
                "part " + std::to_string(value->number) + " is a value (" + value->codec +
                    "), part " + std::to_string(tables.front()->number) + " is a table",
                {.stage = stage, .partition = value->number},
                "Return a table from every partition, or from none.");
  }
  const auto& first = tables.front()->schema;
  tables.insert(tables.end(), nothings.begin(), nothings.end());
  if (std::all_of(tables.begin(), tables.end(),
                  [&](const Part* part) { return part->schema->Equals(*first, false); })) {
    return first;
  }
  Unifier unifier(stage, name_of);
  for (const Part* part : tables) {
    if (part->rows > 0) ARROW_RETURN_NOT_OK(unifier.Add(*part));
  }
  for (const Part* part : tables) {
    if (part->rows == 0) unifier.AddEmpty(*part);
  }
  const auto with_rows =
      std::find_if(tables.begin(), tables.end(), [](const Part* part) { return part->rows > 0; });
  const Part* leader = with_rows == tables.end() ? tables.front() : *with_rows;
  const auto unified = arrow::schema(unifier.Fields(), Metadata(*leader->schema));
  const bool has_labels = std::any_of(tables.begin(), tables.end(),
                                      [](const Part* part) { return HasRowLabels(*part->schema); });
  return has_labels && !KeepsRowLabels(tables) ? WithoutRowLabels(unified) : unified;
}

}  // namespace hayate::frame
