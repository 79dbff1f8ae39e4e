#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include <cstring>

#include "hayate/csv/classify.h"
#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/validity.h"

namespace hayate::csv {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

struct Column {
  const TextBlock& block;
  int field;
  const TypePtr& type;
  const CellRules& rules;
};

// parse(text, T*) → ParseFault for every value; slots under nulls are zero.
template <typename T, typename Parse>
Result<ConvertedColumn> ConvertWith(const Column& column, Parse parse) {
  const int64_t rows = column.block.rows;
  ConvertedColumn result;
  ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(rows));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(T))));
  T* const values = reinterpret_cast<T*>(buffer->mutable_data());
  WalkField(
      column.block, column.field, column.rules, &result.bad,
      [&](int64_t row) {
        validity.SetNull(row);
        values[row] = T{};
      },
      [&](int64_t row, std::string_view text) {
        T value{};
        const ParseFault fault = parse(text, &value);
        values[row] = value;
        return fault;
      });
  if (result.bad) return result;
  result.array = arrow::MakeArray(arrow::ArrayData::Make(
      column.type, rows, {validity.buffer(), std::move(buffer)}, validity.null_count()));
  return result;
}

Result<ConvertedColumn> ConvertBool(const Column& column, bool inferred) {
  const int64_t rows = column.block.rows;
  ConvertedColumn result;
  ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(rows));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits, arrow::AllocateBuffer((rows + 7) / 8));
  std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
  WalkField(
      column.block, column.field, column.rules, &result.bad,
      [&](int64_t row) { validity.SetNull(row); },
      [&](int64_t row, std::string_view text) {
        if (inferred && !column.rules.IsInferredBool(text)) return ParseFault::kSyntax;
        if (column.rules.IsTrue(text)) {
          bits->mutable_data()[row / 8] |= static_cast<uint8_t>(1U << (row % 8));
          return ParseFault::kNone;
        }
        return column.rules.IsFalse(text) ? ParseFault::kNone : ParseFault::kSyntax;
      });
  if (result.bad) return result;
  result.array = arrow::MakeArray(arrow::ArrayData::Make(
      column.type, rows, {validity.buffer(), std::move(bits)}, validity.null_count()));
  return result;
}

// Up to 18 plain digits, which is nearly every integer there is; false: ask ParseInteger.
inline bool ParseShortInteger(std::string_view text, int64_t* out) {
  constexpr size_t kMostDigits = 18;
  const bool negative = !text.empty() && text[0] == '-';
  const size_t start = negative ? 1 : 0;
  if (text.size() == start || text.size() > start + kMostDigits) return false;
  int64_t value = 0;
  for (size_t i = start; i < text.size(); ++i) {
    const auto digit = static_cast<unsigned>(static_cast<unsigned char>(text[i])) - '0';
    if (digit > 9) return false;
    value = value * 10 + static_cast<int64_t>(digit);
  }
  *out = negative ? -value : value;
  return true;
}

ParseFault ParseInt64(std::string_view text, int64_t* out) {
  if (ParseShortInteger(text, out)) [[likely]] {
    return ParseFault::kNone;
  }
  return ParseInteger(text, out);
}

Result<ConvertedColumn> ConvertInferredInt64(const Column& column) {
  auto result = ConvertWith<int64_t>(column, [](std::string_view text, int64_t* out) {
    if (text.empty()) return ParseFault::kSyntax;
    const bool leading_zero = (text[0] == '0' && text.size() > 1) ||
                              (text[0] == '-' && text.size() > 1 && text[1] == '0');
    if (text[0] == '+' || leading_zero) return ParseFault::kSyntax;
    return ParseInt64(text, out);
  });
  if (!result.ok() || result->bad) return result;
  const auto& array = static_cast<const arrow::Int64Array&>(*result->array);
  const int64_t* const values = array.raw_values();
  for (int64_t row = 0; row < array.length(); ++row) {
    if (IsExactInDouble(values[row])) [[likely]] {
      continue;
    }
    result->inexact_row = row;
    break;
  }
  return result;
}

ParseFault ParseInferredDouble(std::string_view text, double* out) {
  switch (PlainFormOf(text)) {
    case PlainForm::kReal:
      return ParseDouble(text, out);
    case PlainForm::kInteger:
      return IsExactInDouble(text) ? ParseDouble(text, out) : ParseFault::kPrecision;
    case PlainForm::kNone:
      break;
  }
  return text.empty() || text[0] == '+' || !IsNanOrInfinity(text) ? ParseFault::kSyntax
                                                                  : ParseDouble(text, out);
}

template <typename T>
Result<ConvertedColumn> ConvertInteger(const Column& column) {
  return ConvertWith<T>(column,
                        [](std::string_view text, T* out) { return ParseInteger<T>(text, out); });
}

template <typename T>
Result<ConvertedColumn> ConvertTime(const Column& column, arrow::TimeUnit::type unit) {
  return ConvertWith<T>(column, [unit](std::string_view text, T* out) {
    int64_t value = 0;
    const ParseFault fault = ParseTime(text, unit, &value);
    *out = static_cast<T>(value);  // seconds and milliseconds of a day fit 32 bits
    return fault;
  });
}

Result<ConvertedColumn> ConvertTimestamp(const Column& column, bool inferred) {
  const auto& type = static_cast<const arrow::TimestampType&>(*column.type);
  const auto unit = type.unit();
  ZoneForm zone = ZoneForm::kNone;
  if (!type.timezone().empty()) zone = inferred ? ZoneForm::kRequired : ZoneForm::kOptional;
  return ConvertWith<int64_t>(column, [=](std::string_view text, int64_t* out) {
    return ParseTimestamp(text, unit, zone, /*date_alone=*/!inferred, out);
  });
}

Result<ConvertedColumn> ConvertDecimal(const Column& column) {
  const auto& type = static_cast<const arrow::DecimalType&>(*column.type);
  const int precision = type.precision();
  const int scale = type.scale();
  if (type.id() == arrow::Type::DECIMAL128) {
    return ConvertWith<arrow::Decimal128>(column,
                                          [=](std::string_view text, arrow::Decimal128* out) {
                                            return ParseDecimal128(text, precision, scale, out);
                                          });
  }
  return ConvertWith<arrow::Decimal256>(column, [=](std::string_view text, arrow::Decimal256* out) {
    return ParseDecimal256(text, precision, scale, out);
  });
}

}  // namespace

Result<ConvertedColumn> ConvertFixed(const TextBlock& block, int field, const TypePtr& type,
                                     bool inferred, const CellRules& rules) {
  const Column column{block, field, type, rules};
  switch (type->id()) {
    case arrow::Type::BOOL:
      return ConvertBool(column, inferred);
    case arrow::Type::INT8:
      return ConvertInteger<int8_t>(column);
    case arrow::Type::INT16:
      return ConvertInteger<int16_t>(column);
    case arrow::Type::INT32:
      return ConvertInteger<int32_t>(column);
    case arrow::Type::INT64:
      return inferred ? ConvertInferredInt64(column) : ConvertWith<int64_t>(column, ParseInt64);
    case arrow::Type::UINT8:
      return ConvertInteger<uint8_t>(column);
    case arrow::Type::UINT16:
      return ConvertInteger<uint16_t>(column);
    case arrow::Type::UINT32:
      return ConvertInteger<uint32_t>(column);
    case arrow::Type::UINT64:
      return ConvertInteger<uint64_t>(column);
    case arrow::Type::FLOAT:
      return ConvertWith<float>(column, ParseFloat);
    case arrow::Type::DOUBLE:
      return ConvertWith<double>(column, inferred ? ParseInferredDouble : ParseDouble);
    case arrow::Type::DATE32:
      return ConvertWith<int32_t>(column, ParseDate);
    case arrow::Type::TIME32:
      return ConvertTime<int32_t>(column, static_cast<const arrow::Time32Type&>(*type).unit());
    case arrow::Type::TIME64:
      return ConvertTime<int64_t>(column, static_cast<const arrow::Time64Type&>(*type).unit());
    case arrow::Type::TIMESTAMP:
      return ConvertTimestamp(column, inferred);
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return ConvertDecimal(column);
    default:
      return Fail(Fault::kInternal, "no CSV converter for " + type->ToString());
  }
}

}  // namespace hayate::csv
