#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "hayate/base/hash.h"
#include "hayate/shuffle/key_columns.h"
#include "hayate/shuffle/shuffle.h"

// Version 1 (kPartitionHash). A change of any value here is a change of that number: frames that
// were shuffled before must not be read beside frames that are shuffled now.
namespace hayate::shuffle {
namespace {

// The golden ratio's bits: any constant does that no short value is likely to hash to.
constexpr uint64_t kNullHash = 0x9e3779b97f4a7c15;

uint64_t HashInteger(int64_t value) {
  std::array<uint8_t, sizeof value> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) {  // little-endian on any machine
    bytes[i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
  }
  return Hash64(bytes);
}

// A number that is an integer hashes like that integer, so that a key which became a double in one
// of two frames still meets itself.
uint64_t HashDouble(double value) {
  if (value >= -0x1p63 && value < 0x1p63 && value == std::trunc(value)) {
    return HashInteger(static_cast<int64_t>(value));
  }
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  return HashInteger(std::bit_cast<int64_t>(value));
}

uint64_t HashBytes(std::string_view bytes) {
  return Hash64({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

// By value: 1.50 at scale 2 is 1.5 at scale 9, and 7.00 is the integer 7.
uint64_t HashDecimal(arrow::Decimal256 value, int32_t scale) {
  while (scale > 0) {
    const auto divided = value.Divide(arrow::Decimal256(10));
    if (!divided.ok() || divided->second != arrow::Decimal256(0)) break;
    value = divided->first;
    --scale;
  }
  if (scale == 0 && value >= arrow::Decimal256(std::numeric_limits<int64_t>::min()) &&
      value <= arrow::Decimal256(std::numeric_limits<int64_t>::max())) {
    return HashInteger(static_cast<int64_t>(value.little_endian_array()[0]));
  }
  return HashBytes(value.ToIntegerString() + "e-" + std::to_string(scale));
}

int64_t NanosecondsPer(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1'000'000'000;
    case arrow::TimeUnit::MILLI:
      return 1'000'000;
    case arrow::TimeUnit::MICRO:
      return 1'000;
    case arrow::TimeUnit::NANO:
      return 1;
  }
  return 1;
}

constexpr int64_t kNanosecondsPerDay = 86'400'000'000'000;

// Modulo 2^64: instants that nanoseconds cannot count collide with others, which is only a hash.
uint64_t HashScaled(int64_t value, int64_t factor) {
  return HashInteger(
      static_cast<int64_t>(static_cast<uint64_t>(value) * static_cast<uint64_t>(factor)));
}

// Calls store(row, hash) for each row of a column.
class ColumnHasher {
 public:
  /// `name`: of the column, for errors.
  ColumnHasher(const std::string& name, std::vector<uint64_t>* hashes)
      : name_(name), hashes_(hashes) {}

  Status Hash(const arrow::Array& column) {
    switch (column.type_id()) {
      case arrow::Type::NA:
        return Each(column, [](int64_t) { return kNullHash; });
      case arrow::Type::BOOL: {
        const auto& typed = static_cast<const arrow::BooleanArray&>(column);
        return Each(column, [&](int64_t i) { return HashInteger(typed.Value(i) ? 1 : 0); });
      }
      case arrow::Type::INT8:
        return Integers<int8_t>(column);
      case arrow::Type::UINT8:
        return Integers<uint8_t>(column);
      case arrow::Type::INT16:
        return Integers<int16_t>(column);
      case arrow::Type::UINT16:
        return Integers<uint16_t>(column);
      case arrow::Type::INT32:
        return Integers<int32_t>(column);
      case arrow::Type::UINT32:
        return Integers<uint32_t>(column);
      case arrow::Type::INT64:
        return Integers<int64_t>(column);
      case arrow::Type::UINT64:
        return Integers<uint64_t>(column);
      case arrow::Type::FLOAT:
        return Floats<float>(column);
      case arrow::Type::DOUBLE:
        return Floats<double>(column);
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return Views(static_cast<const arrow::BinaryArray&>(column));
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return Views(static_cast<const arrow::LargeBinaryArray&>(column));
      case arrow::Type::STRING_VIEW:
      case arrow::Type::BINARY_VIEW:
        return Views(static_cast<const arrow::BinaryViewArray&>(column));
      case arrow::Type::FIXED_SIZE_BINARY:
        return Views(static_cast<const arrow::FixedSizeBinaryArray&>(column));
      case arrow::Type::DATE32:
        return Scaled<int32_t>(column, kNanosecondsPerDay);
      case arrow::Type::DATE64:
        return Scaled<int64_t>(column, NanosecondsPer(arrow::TimeUnit::MILLI));
      case arrow::Type::TIMESTAMP:
        return Scaled<int64_t>(column, UnitOf<arrow::TimestampType>(column));
      case arrow::Type::DURATION:
        return Scaled<int64_t>(column, UnitOf<arrow::DurationType>(column));
      case arrow::Type::TIME32:
        return Scaled<int32_t>(column, UnitOf<arrow::Time32Type>(column));
      case arrow::Type::TIME64:
        return Scaled<int64_t>(column, UnitOf<arrow::Time64Type>(column));
      case arrow::Type::DECIMAL128:
        return Decimals<arrow::Decimal128>(static_cast<const arrow::Decimal128Array&>(column));
      case arrow::Type::DECIMAL256:
        return Decimals<arrow::Decimal256>(static_cast<const arrow::Decimal256Array&>(column));
      case arrow::Type::DICTIONARY:
        return Dictionary(static_cast<const arrow::DictionaryArray&>(column));
      default:
        return Fail(Fault::kUsage,
                    "a column of type " + column.type()->ToString() + " cannot be a key",
                    {.column = name_}, "Choose columns of numbers, text or times.");
    }
  }

 private:
  template <typename HashOf>
  Status Each(const arrow::Array& column, HashOf&& hash_of) {
    hashes_->resize(static_cast<size_t>(column.length()));
    const bool nulls = column.null_count() > 0;
    for (int64_t i = 0; i < column.length(); ++i) {
      (*hashes_)[static_cast<size_t>(i)] = nulls && column.IsNull(i) ? kNullHash : hash_of(i);
    }
    return Status::OK();
  }

  template <typename Value>
  Status Integers(const arrow::Array& column) {
    const Value* values = column.data()->GetValues<Value>(1);
    return Each(column, [&](int64_t i) { return HashInteger(static_cast<int64_t>(values[i])); });
  }

  template <typename Value>
  Status Floats(const arrow::Array& column) {
    const Value* values = column.data()->GetValues<Value>(1);
    return Each(column, [&](int64_t i) { return HashDouble(static_cast<double>(values[i])); });
  }

  template <typename Value>
  Status Scaled(const arrow::Array& column, int64_t factor) {
    const Value* values = column.data()->GetValues<Value>(1);
    return Each(column, [&](int64_t i) { return HashScaled(values[i], factor); });
  }

  template <typename Type>
  static int64_t UnitOf(const arrow::Array& column) {
    return NanosecondsPer(static_cast<const Type&>(*column.type()).unit());
  }

  template <typename Typed>
  Status Views(const Typed& column) {
    return Each(column, [&](int64_t i) { return HashBytes(column.GetView(i)); });
  }

  template <typename Value, typename Typed>
  Status Decimals(const Typed& column) {
    const int32_t scale = static_cast<const arrow::DecimalType&>(*column.type()).scale();
    return Each(column, [&](int64_t i) {
      return HashDecimal(arrow::Decimal256(Value(column.GetValue(i))), scale);
    });
  }

  Status Dictionary(const arrow::DictionaryArray& column) {
    std::vector<uint64_t> of_values;
    ARROW_RETURN_NOT_OK(ColumnHasher(name_, &of_values).Hash(*column.dictionary()));
    return Each(column,
                [&](int64_t i) { return of_values[static_cast<size_t>(column.GetValueIndex(i))]; });
  }

  const std::string& name_;
  std::vector<uint64_t>* hashes_;
};

}  // namespace

Result<std::vector<int>> KeyColumns(const arrow::Schema& schema,
                                    const std::vector<std::string>& columns,
                                    const std::string& object) {
  std::vector<int> indices;
  for (const std::string& column : columns) {
    const int index = schema.GetFieldIndex(column);
    if (index < 0) {
      std::string names;
      for (const auto& name : schema.field_names()) names += (names.empty() ? "" : ", ") + name;
      return Fail(Fault::kUsage, "there is no column \"" + column + "\" to partition by",
                  {.object = object, .column = column}, "Choose among: " + names + ".");
    }
    const auto& type = schema.field(index)->type();
    const auto& plain = type->id() == arrow::Type::DICTIONARY
                            ? static_cast<const arrow::DictionaryType&>(*type).value_type()
                            : type;
    if (arrow::is_nested(plain->id())) {
      return Fail(Fault::kUsage, "a column of type " + type->ToString() + " cannot be a key",
                  {.object = object, .column = column},
                  "Choose columns of numbers, text or times.");
    }
    indices.push_back(index);
  }
  if (indices.empty()) {
    return Fail(Fault::kUsage, "no key column is given", {.object = object},
                "Name at least one column.");
  }
  return indices;
}

Result<std::vector<uint64_t>> HashRows(const arrow::RecordBatch& batch,
                                       const std::vector<std::string>& columns) {
  ARROW_ASSIGN_OR_RAISE(const auto keys, KeyColumns(*batch.schema(), columns, ""));
  std::vector<std::vector<uint64_t>> hashes(keys.size());
  for (size_t k = 0; k < keys.size(); ++k) {
    ARROW_RETURN_NOT_OK(ColumnHasher(columns[k], &hashes[k]).Hash(*batch.column(keys[k])));
  }
  if (keys.size() == 1) return std::move(hashes.front());
  // Several columns: the hash of their hashes, end to end, little-endian.
  std::vector<uint64_t> rows(static_cast<size_t>(batch.num_rows()));
  std::vector<uint8_t> bytes(keys.size() * sizeof(uint64_t));
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t k = 0; k < keys.size(); ++k) {
      for (size_t i = 0; i < sizeof(uint64_t); ++i) {
        bytes[k * sizeof(uint64_t) + i] = static_cast<uint8_t>(hashes[k][row] >> (8 * i));
      }
    }
    rows[row] = Hash64(bytes);
  }
  return rows;
}

}  // namespace hayate::shuffle
