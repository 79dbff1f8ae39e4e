#include "hayate/csv/convert.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/printable.h"
#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

bool IsText(const arrow::DataType& type) {
  return arrow::is_string(type.id()) || type.id() == arrow::Type::DICTIONARY;
}

// What can be wrong with a value, as a clause after the value.
std::string ReasonOf(const BadCell& bad, const arrow::DataType& type) {
  if (IsText(type)) {
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
  if (IsText(type)) {
    return "Say in which encoding the file is, for example encoding=\"latin-1\", or "
           "encoding_errors=\"replace\".";
  }
  return "Correct the value, name its spelling in null_values= if it means null, or give the "
         "column another type in schema= (STRING keeps every text).";
}

}  // namespace

Result<std::unique_ptr<ColumnConverter>> ColumnConverter::Make(
    const TextBlock& block, int field, const std::shared_ptr<arrow::DataType>& type,
    ConvertOptions options, const CellRules& rules) {
  const ColumnPlace place{block, field, type, rules, options};
  if (type->id() == arrow::Type::DICTIONARY) return MakeDictionaryConverter(place);
  return arrow::is_base_binary_like(type->id()) ? MakeTextConverter(place)
                                                : MakeFixedConverter(place);
}

Result<ConvertedColumn> ConvertColumn(const TextBlock& block, int field,
                                      const std::shared_ptr<arrow::DataType>& type,
                                      ConvertOptions options, const CellRules& rules) {
  ARROW_ASSIGN_OR_RAISE(const auto converter,
                        ColumnConverter::Make(block, field, type, options, rules));
  Slab none;
  ARROW_RETURN_NOT_OK(converter->Begin(&none));
  ARROW_RETURN_NOT_OK(converter->ConvertTo(block.rows));
  return converter->Finish();
}

std::string WhatIsWrong(const BadCell& bad, const arrow::DataType& type) {
  return "the value " + Printable(bad.value) + " " + ReasonOf(bad, type);
}

Status BadCellError(const TextBlock& block, const BadCell& bad, const std::string& column,
                    const arrow::DataType& type) {
  return Fail(Fault::kInput, WhatIsWrong(bad, type),
              {.object = *block.object,
               .row = block.RowNumber(bad.row),
               .line = block.LineOfRow(bad.row),
               .column = column},
              RemedyOf(type));
}

}  // namespace hayate::csv
