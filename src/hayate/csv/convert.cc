#include "hayate/csv/convert.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/printable.h"
#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

// What can be wrong with a value, as a clause after the value.
std::string ReasonOf(const BadCell& bad, const arrow::DataType& type) {
  if (arrow::is_base_binary_like(type.id()) && !arrow::is_binary(type.id())) {
    const int64_t at = FindInvalidUtf8(bad.value);
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<uint8_t>(bad.value[static_cast<size_t>(at)]);
    return std::string("is not UTF-8 (byte 0x") + kHex[byte >> 4] + kHex[byte & 0xf] +
           " at offset " + std::to_string(at) + " of the value)";
  }
  switch (bad.fault) {
    case ParseFault::kNone:
    case ParseFault::kSyntax:
      if (bad.value.empty()) {
        return "is not a value of type " + type.ToString() +
               " (a quoted empty field is an empty string; an unquoted one is null)";
      }
      if (arrow::is_base_binary_like(type.id())) return "is not base64";
      return "is not a value of type " + type.ToString();
    case ParseFault::kRange:
      return "is out of the range of " + type.ToString();
    case ParseFault::kPrecision:
      return "has more digits than " + type.ToString() + " holds";
  }
  return "is not a value of type " + type.ToString();
}

std::string RemedyOf(const arrow::DataType& type) {
  if (type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING) {
    return "Convert the file to UTF-8 (for example with iconv), or read the column as BYTES.";
  }
  return "Correct the value, name its spelling in null_values= if it means null, or give the "
         "column another type in schema= (STRING keeps every text).";
}

}  // namespace

Result<std::unique_ptr<ColumnConverter>> ColumnConverter::Make(
    const TextBlock& block, int field, const std::shared_ptr<arrow::DataType>& type, bool inferred,
    const CellRules& rules) {
  const ColumnPlace place{block, field, type, rules};
  if (arrow::is_base_binary_like(type->id())) return MakeTextConverter(place);
  return MakeFixedConverter(place, inferred);
}

Result<ConvertedColumn> ConvertColumn(const TextBlock& block, int field,
                                      const std::shared_ptr<arrow::DataType>& type, bool inferred,
                                      const CellRules& rules) {
  ARROW_ASSIGN_OR_RAISE(const auto converter,
                        ColumnConverter::Make(block, field, type, inferred, rules));
  ARROW_RETURN_NOT_OK(converter->ConvertTo(block.rows));
  return converter->Finish();
}

Status BadCellError(const TextBlock& block, const BadCell& bad, const std::string& column,
                    const arrow::DataType& type) {
  return Fail(Fault::kInput, "the value " + Printable(bad.value) + " " + ReasonOf(bad, type),
              {.object = *block.object,
               .row = block.first_row + bad.row + 1,
               .line = block.LineOfRow(bad.row),
               .column = column},
              RemedyOf(type));
}

}  // namespace hayate::csv
