#include "hayate/csv/infer.h"

#include <arrow/type.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "hayate/csv/printable.h"

namespace hayate::csv {
namespace {

constexpr ClassSet kBoolClasses = SetOf(CellClass::kBool) | SetOf(CellClass::kBoolInteger);
constexpr ClassSet kInt64Classes = SetOf(CellClass::kInteger) | SetOf(CellClass::kInexactInteger);
constexpr ClassSet kExactNumbers = SetOf(CellClass::kInteger) | SetOf(CellClass::kBigInteger) |
                                   SetOf(CellClass::kReal) | SetOf(CellClass::kNan);
constexpr ClassSet kInexact =
    SetOf(CellClass::kInexactInteger) | SetOf(CellClass::kInexactBigInteger);

bool IsString(const std::shared_ptr<arrow::DataType>& type) {
  return type != nullptr && type->id() == arrow::Type::STRING;
}

bool Before(const CellPlace& a, const CellPlace& b) {
  return std::tie(a.shard, a.row) < std::tie(b.shard, b.row);
}

std::string Describe(CellClass cell_class, const CellPlace& place) {
  std::string text =
      Printable(place.value) + " (" + place.object + ", row " + std::to_string(place.row) + ")";
  if ((SetOf(cell_class) & kInexact) != 0) text += ", an integer that has no exact double";
  return text;
}

}  // namespace

void ColumnEvidence::Add(CellClass cell_class, CellPlace place) {
  auto& first = first_[static_cast<size_t>(cell_class)];
  if (!first || Before(place, *first)) first = std::move(place);
  classes_ |= SetOf(cell_class);
}

void ColumnEvidence::Merge(const ColumnEvidence& other) {
  for (int i = 0; i < kCellClasses; ++i) {
    const auto cell_class = static_cast<CellClass>(i);
    if ((other.classes_ & SetOf(cell_class)) != 0) Add(cell_class, other.first(cell_class));
  }
}

std::shared_ptr<arrow::DataType> TypeOf(ClassSet classes) {
  if (classes == 0) return nullptr;
  if ((classes & ~kBoolClasses) == 0) return arrow::boolean();
  if ((classes & SetOf(CellClass::kBoolInteger)) != 0) {
    classes = (classes & ~SetOf(CellClass::kBoolInteger)) | SetOf(CellClass::kInteger);
  }
  if ((classes & ~kInt64Classes) == 0) return arrow::int64();
  if ((classes & ~kExactNumbers) == 0) {
    const bool has_integer = (classes & SetOf(CellClass::kInteger)) != 0;
    const bool has_real = (classes & SetOf(CellClass::kReal)) != 0;
    const bool has_nan = (classes & SetOf(CellClass::kNan)) != 0;
    // Words for NaN alone may be names; beside numbers they are numbers.
    return has_real || (has_nan && has_integer) ? arrow::float64() : nullptr;
  }
  if (classes == SetOf(CellClass::kDate)) return arrow::date32();
  if (classes == SetOf(CellClass::kDateTime)) return arrow::timestamp(arrow::TimeUnit::MICRO);
  if (classes == SetOf(CellClass::kTimestamp)) {
    return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  }
  return arrow::utf8();
}

std::shared_ptr<arrow::DataType> FinalTypeOf(ClassSet classes) {
  auto type = TypeOf(classes);
  return type == nullptr && classes != 0 ? arrow::utf8() : type;
}

std::optional<std::string> WideningWarning(const std::string& column,
                                           const ColumnEvidence& evidence) {
  const ClassSet classes = evidence.classes();
  if (!IsString(FinalTypeOf(classes)) || (classes & SetOf(CellClass::kCode)) != 0) {
    return std::nullopt;
  }
  std::vector<CellClass> order;
  for (int i = 0; i < kCellClasses; ++i) {
    if ((classes & SetOf(static_cast<CellClass>(i))) != 0) order.push_back(CellClass(i));
  }
  std::sort(order.begin(), order.end(),
            [&](CellClass a, CellClass b) { return Before(evidence.first(a), evidence.first(b)); });
  // The first pair that no type but string holds, whatever there is besides; else the first for
  // which nothing came that would have made it a number.
  for (const auto type_of : {TypeOf, FinalTypeOf}) {
    for (size_t second = 1; second < order.size(); ++second) {
      for (size_t first = 0; first < second; ++first) {
        if (!IsString(type_of(SetOf(order[first]) | SetOf(order[second])))) continue;
        return "column " + column +
               " is read as string: " + Describe(order[second], evidence.first(order[second])) +
               " does not go together with " +
               Describe(order[first], evidence.first(order[first])) +
               "; name its type in schema= to decide it";
      }
    }
  }
  return std::nullopt;
}

ColumnEvidence ClassifyColumn(const TextBlock& block, int64_t shard, int field,
                              const CellRules& rules) {
  ColumnEvidence evidence;
  std::string scratch;
  for (int64_t row = 0; row < block.rows; ++row) {
    const Cell cell = CellOf(block.RawField(row, field), block.dialect, &scratch);
    if (rules.nulls.IsNull(cell)) continue;
    const CellClass cell_class = Classify(cell.text, rules);
    // Rows come in order: the first of a class is the first.
    if ((evidence.classes() & SetOf(cell_class)) != 0) continue;
    evidence.Add(cell_class, {.shard = shard,
                              .row = block.RowNumber(row),
                              .object = *block.object,
                              .value = std::string(cell.text)});
  }
  return evidence;
}

}  // namespace hayate::csv
