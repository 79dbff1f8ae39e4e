#include <arrow/type.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/csv/options.h"

namespace hayate::csv {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

constexpr int kNumericPrecision = 38;
constexpr int kNumericScale = 9;
constexpr int kBigNumericPrecision = 76;
constexpr int kBigNumericScale = 38;

// "timestamp[us, tz=UTC]" → "timestamp" with the arguments "us" and "tz=UTC"; "NUMERIC(10, 2)"
// alike.
struct Spelling {
  std::string head;  // lower case
  std::vector<std::string> arguments;
};

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) - first + 1));
}

std::optional<Spelling> Split(const std::string& name) {
  Spelling spelling;
  const size_t open = name.find_first_of("[(");
  spelling.head = Trimmed(name.substr(0, open));
  std::transform(spelling.head.begin(), spelling.head.end(), spelling.head.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (open == std::string::npos) return spelling;
  const std::string rest = Trimmed(name.substr(open + 1));
  if (rest.empty() || (rest.back() != ']' && rest.back() != ')')) return std::nullopt;
  std::string_view inside(rest.data(), rest.size() - 1);
  while (true) {
    const size_t comma = inside.find(',');
    spelling.arguments.push_back(Trimmed(inside.substr(0, comma)));
    if (comma == std::string_view::npos) return spelling;
    inside.remove_prefix(comma + 1);
  }
}

std::optional<arrow::TimeUnit::type> UnitFrom(const std::string& name) {
  if (name == "s") return arrow::TimeUnit::SECOND;
  if (name == "ms") return arrow::TimeUnit::MILLI;
  if (name == "us") return arrow::TimeUnit::MICRO;
  if (name == "ns") return arrow::TimeUnit::NANO;
  return std::nullopt;
}

std::optional<int> IntFrom(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const std::map<std::string, TypePtr>& PlainTypes() {
  static const auto* const types = new std::map<std::string, TypePtr>{
      {"int64", arrow::int64()},
      {"integer", arrow::int64()},
      {"bigint", arrow::int64()},
      {"int", arrow::int64()},
      {"smallint", arrow::int64()},
      {"tinyint", arrow::int64()},
      {"byteint", arrow::int64()},
      {"int32", arrow::int32()},
      {"int16", arrow::int16()},
      {"int8", arrow::int8()},
      {"uint64", arrow::uint64()},
      {"uint32", arrow::uint32()},
      {"uint16", arrow::uint16()},
      {"uint8", arrow::uint8()},
      {"float64", arrow::float64()},
      {"double", arrow::float64()},
      {"float32", arrow::float32()},
      {"float", arrow::float32()},
      {"bool", arrow::boolean()},
      {"boolean", arrow::boolean()},
      {"string", arrow::utf8()},
      {"utf8", arrow::utf8()},
      {"str", arrow::utf8()},
      {"json", arrow::utf8()},
      {"geography", arrow::utf8()},
      {"interval", arrow::utf8()},
      {"range", arrow::utf8()},
      {"range<date>", arrow::utf8()},
      {"range<datetime>", arrow::utf8()},
      {"range<timestamp>", arrow::utf8()},
      {"large_string", arrow::large_utf8()},
      {"large_utf8", arrow::large_utf8()},
      {"dictionary", arrow::dictionary(arrow::int32(), arrow::utf8())},
      {"category", arrow::dictionary(arrow::int32(), arrow::utf8())},
      {"bytes", arrow::binary()},
      {"binary", arrow::binary()},
      {"large_binary", arrow::large_binary()},
      {"date", arrow::date32()},
      {"date32", arrow::date32()},
      {"time", arrow::time64(arrow::TimeUnit::MICRO)},
      {"time64", arrow::time64(arrow::TimeUnit::MICRO)},
      {"datetime", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"timestamp", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")},
      {"numeric", arrow::decimal128(kNumericPrecision, kNumericScale)},
      {"decimal", arrow::decimal128(kNumericPrecision, kNumericScale)},
      {"bignumeric", arrow::decimal256(kBigNumericPrecision, kBigNumericScale)},
      {"bigdecimal", arrow::decimal256(kBigNumericPrecision, kBigNumericScale)},
  };
  return *types;
}

// timestamp[us], timestamp[us, UTC], timestamp[us, tz=UTC]; date32[day]; time32[s], time64[us].
TypePtr TimeType(const Spelling& spelling) {
  const auto& arguments = spelling.arguments;
  if (spelling.head == "date32" && arguments.size() == 1 && arguments[0] == "day") {
    return arrow::date32();
  }
  const auto unit = UnitFrom(arguments[0]);
  if (!unit) return nullptr;
  const bool coarse = *unit == arrow::TimeUnit::SECOND || *unit == arrow::TimeUnit::MILLI;
  if (spelling.head == "time32" && coarse && arguments.size() == 1) return arrow::time32(*unit);
  if (spelling.head == "time64" && !coarse && arguments.size() == 1) return arrow::time64(*unit);
  if (spelling.head != "timestamp" || arguments.size() > 2) return nullptr;
  if (arguments.size() == 1) return arrow::timestamp(*unit);
  const std::string prefix = "tz=";
  const std::string& zone = arguments[1];
  return arrow::timestamp(*unit, zone.rfind(prefix, 0) == 0 ? zone.substr(prefix.size()) : zone);
}

TypePtr DecimalType(const Spelling& spelling) {
  const auto& head = spelling.head;
  const bool wide = head == "decimal256" || head == "bignumeric" || head == "bigdecimal";
  if (!wide && head != "decimal128" && head != "numeric" && head != "decimal") return nullptr;
  const auto precision = IntFrom(spelling.arguments[0]);
  const auto scale =
      spelling.arguments.size() > 1 ? IntFrom(spelling.arguments[1]) : std::optional<int>(0);
  if (spelling.arguments.size() > 2 || !precision || !scale) return nullptr;
  const int most = wide ? kBigNumericPrecision : kNumericPrecision;
  if (*precision < 1 || *precision > most || *scale < 0 || *scale > *precision) return nullptr;
  return wide ? arrow::decimal256(*precision, *scale) : arrow::decimal128(*precision, *scale);
}

// STRING(20), BYTES(16): the length is BigQuery's to check.
TypePtr LimitedType(const Spelling& spelling) {
  const auto& arguments = spelling.arguments;
  if (arguments.size() != 1 || IntFrom(arguments[0]).value_or(0) < 1) return nullptr;
  if (spelling.head == "string") return arrow::utf8();
  return spelling.head == "bytes" ? arrow::binary() : nullptr;
}

}  // namespace

Result<std::shared_ptr<arrow::DataType>> TypeFromName(const std::string& name) {
  // BigQuery's old name of FLOAT64; in small letters it is Arrow's name of 32 bits.
  if (name == "FLOAT") return arrow::float64();
  if (const auto spelling = Split(name)) {
    if (spelling->arguments.empty()) {
      const auto found = PlainTypes().find(spelling->head);
      if (found != PlainTypes().end()) return found->second;
    } else {
      if (TypePtr type = TimeType(*spelling)) return type;
      if (TypePtr type = DecimalType(*spelling)) return type;
      if (TypePtr type = LimitedType(*spelling)) return type;
    }
  }
  return Fail(Fault::kUsage, "\"" + name + "\" is not a type that CSV is read into", {},
              "Use one of INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, STRING, BYTES, DATE, TIME, "
              "DATETIME, TIMESTAMP, JSON, GEOGRAPHY, INTERVAL, RANGE, DICTIONARY (of strings), or "
              "an Arrow name such as int32 or "
              "timestamp[us, tz=UTC].");
}

}  // namespace hayate::csv
