#include "hayate/csv/write_field.h"

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/base64.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "hayate/csv/write_time.h"

namespace hayate::csv {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using FieldWriterPtr = std::unique_ptr<FieldWriter>;

// A column whose valid values are written by `Write(array, row, out)`.
template <typename Typed, typename Write>
class ColumnWriter : public FieldWriter {
 public:
  ColumnWriter(ArrayPtr column, Write write)
      : column_(std::move(column)),
        typed_(static_cast<const Typed&>(*column_)),
        nulls_(column_->null_count() > 0),
        write_(std::move(write)) {}

  void Append(int64_t row, std::string* out) const override {
    if (nulls_ && typed_.IsNull(row)) return;
    write_(typed_, row, out);
  }

 private:
  const ArrayPtr column_;
  const Typed& typed_;
  const bool nulls_;
  const Write write_;
};

template <typename Typed, typename Write>
FieldWriterPtr Column(const ArrayPtr& column, Write write) {
  return std::make_unique<ColumnWriter<Typed, Write>>(column, std::move(write));
}

template <typename Number>
void AppendNumber(Number value, std::string* out) {
  std::array<char, 32> digits;  // a double's shortest form has at most 24 characters
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out->append(digits.data(), static_cast<size_t>(end - digits.data()));
}

template <typename Float>
void AppendFloat(Float value, std::string* out) {
  if (std::isnan(value)) {
    out->append("NaN");
  } else {
    AppendNumber(value, out);  // "inf" and "-inf" for the infinities
  }
}

// Plain, without zeros at the end of the fraction. (Arrow's own text turns to exponents for what is
// small.)
void AppendDecimal(std::string digits, int32_t scale, std::string* out) {
  if (digits.front() == '-') {
    out->push_back('-');
    digits.erase(0, 1);
  }
  if (scale <= 0) {
    out->append(digits);
    if (digits != "0") out->append(static_cast<size_t>(-scale), '0');
    return;
  }
  const auto places = static_cast<size_t>(scale);
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  const size_t point = digits.size() - places;
  out->append(digits, 0, point);
  const size_t last = digits.find_last_not_of('0');
  if (last == std::string::npos || last < point) return;
  out->push_back('.');
  out->append(digits, point, last + 1 - point);
}

template <typename Typed>
FieldWriterPtr Numbers(const ArrayPtr& column) {
  return Column<Typed>(column, [](const Typed& typed, int64_t row, std::string* out) {
    AppendNumber(typed.Value(row), out);
  });
}

template <typename Typed>
FieldWriterPtr Floats(const ArrayPtr& column) {
  return Column<Typed>(column, [](const Typed& typed, int64_t row, std::string* out) {
    AppendFloat(typed.Value(row), out);
  });
}

template <typename Typed>
FieldWriterPtr Text(const ArrayPtr& column, char delimiter) {
  return Column<Typed>(column, [delimiter](const Typed& typed, int64_t row, std::string* out) {
    AppendText(typed.GetView(row), delimiter, out);
  });
}

template <typename Typed>
FieldWriterPtr Bytes(const ArrayPtr& column) {
  return Column<Typed>(column, [](const Typed& typed, int64_t row, std::string* out) {
    const std::string text = arrow::util::base64_encode(typed.GetView(row));
    out->append(text.empty() ? "\"\"" : text);
  });
}

template <typename Typed, typename Value>
FieldWriterPtr Decimals(const ArrayPtr& column) {
  const int32_t scale = static_cast<const arrow::DecimalType&>(*column->type()).scale();
  return Column<Typed>(column, [scale](const Typed& typed, int64_t row, std::string* out) {
    AppendDecimal(Value(typed.GetValue(row)).ToIntegerString(), scale, out);
  });
}

FieldWriterPtr Timestamps(const ArrayPtr& column) {
  const auto& type = static_cast<const arrow::TimestampType&>(*column->type());
  const int64_t per_second = UnitsPerSecond(type.unit());
  const bool utc = !type.timezone().empty();
  return Column<arrow::TimestampArray>(
      column, [per_second, utc](const arrow::TimestampArray& typed, int64_t row, std::string* out) {
        AppendTimestamp(typed.Value(row), per_second, utc ? ' ' : 'T', out);
        if (utc) out->append(" UTC");
      });
}

template <typename Typed, typename Type>
FieldWriterPtr Times(const ArrayPtr& column) {
  const int64_t per_second = UnitsPerSecond(static_cast<const Type&>(*column->type()).unit());
  return Column<Typed>(column, [per_second](const Typed& typed, int64_t row, std::string* out) {
    AppendTimeOfDay(typed.Value(row), per_second, out);
  });
}

// Each value of the dictionary is put into words once.
class DictionaryWriter : public FieldWriter {
 public:
  DictionaryWriter(ArrayPtr column, const FieldWriter& values)
      : column_(std::move(column)),
        typed_(static_cast<const arrow::DictionaryArray&>(*column_)),
        texts_(static_cast<size_t>(typed_.dictionary()->length())) {
    for (size_t i = 0; i < texts_.size(); ++i) values.Append(static_cast<int64_t>(i), &texts_[i]);
  }

  void Append(int64_t row, std::string* out) const override {
    if (typed_.IsNull(row)) return;
    out->append(texts_[static_cast<size_t>(typed_.GetValueIndex(row))]);
  }

 private:
  const ArrayPtr column_;
  const arrow::DictionaryArray& typed_;
  std::vector<std::string> texts_;
};

}  // namespace

void AppendText(std::string_view text, char delimiter, std::string* out) {
  const std::array<char, 4> special = {delimiter, '"', '\n', '\r'};
  if (!text.empty() &&
      text.find_first_of(std::string_view(special.data(), special.size())) == text.npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

Result<FieldWriterPtr> FieldWriter::Make(const ArrayPtr& column, const std::string& name,
                                         char delimiter) {
  switch (column->type_id()) {
    case arrow::Type::NA:
      return Column<arrow::NullArray>(column, [](const auto&, int64_t, std::string*) {});
    case arrow::Type::BOOL:
      return Column<arrow::BooleanArray>(
          column, [](const arrow::BooleanArray& typed, int64_t row, std::string* out) {
            out->append(typed.Value(row) ? "true" : "false");
          });
    case arrow::Type::INT8:
      return Numbers<arrow::Int8Array>(column);
    case arrow::Type::UINT8:
      return Numbers<arrow::UInt8Array>(column);
    case arrow::Type::INT16:
      return Numbers<arrow::Int16Array>(column);
    case arrow::Type::UINT16:
      return Numbers<arrow::UInt16Array>(column);
    case arrow::Type::INT32:
      return Numbers<arrow::Int32Array>(column);
    case arrow::Type::UINT32:
      return Numbers<arrow::UInt32Array>(column);
    case arrow::Type::INT64:
      return Numbers<arrow::Int64Array>(column);
    case arrow::Type::UINT64:
      return Numbers<arrow::UInt64Array>(column);
    case arrow::Type::DURATION:  // a count of the type's unit
      return Numbers<arrow::DurationArray>(column);
    case arrow::Type::HALF_FLOAT:
      return Column<arrow::HalfFloatArray>(
          column, [](const arrow::HalfFloatArray& typed, int64_t row, std::string* out) {
            AppendFloat(arrow::util::Float16::FromBits(typed.Value(row)).ToFloat(), out);
          });
    case arrow::Type::FLOAT:
      return Floats<arrow::FloatArray>(column);
    case arrow::Type::DOUBLE:
      return Floats<arrow::DoubleArray>(column);
    case arrow::Type::STRING:
      return Text<arrow::StringArray>(column, delimiter);
    case arrow::Type::LARGE_STRING:
      return Text<arrow::LargeStringArray>(column, delimiter);
    case arrow::Type::STRING_VIEW:
      return Text<arrow::StringViewArray>(column, delimiter);
    case arrow::Type::BINARY:
      return Bytes<arrow::BinaryArray>(column);
    case arrow::Type::LARGE_BINARY:
      return Bytes<arrow::LargeBinaryArray>(column);
    case arrow::Type::BINARY_VIEW:
      return Bytes<arrow::BinaryViewArray>(column);
    case arrow::Type::FIXED_SIZE_BINARY:
      return Bytes<arrow::FixedSizeBinaryArray>(column);
    case arrow::Type::DECIMAL128:
      return Decimals<arrow::Decimal128Array, arrow::Decimal128>(column);
    case arrow::Type::DECIMAL256:
      return Decimals<arrow::Decimal256Array, arrow::Decimal256>(column);
    case arrow::Type::DATE32:
      return Column<arrow::Date32Array>(
          column, [](const arrow::Date32Array& typed, int64_t row, std::string* out) {
            AppendDate(typed.Value(row), out);
          });
    case arrow::Type::DATE64:
      return Column<arrow::Date64Array>(
          column, [](const arrow::Date64Array& typed, int64_t row, std::string* out) {
            AppendDate(DaysOfMilliseconds(typed.Value(row)), out);
          });
    case arrow::Type::TIMESTAMP:
      return Timestamps(column);
    case arrow::Type::TIME32:
      return Times<arrow::Time32Array, arrow::Time32Type>(column);
    case arrow::Type::TIME64:
      return Times<arrow::Time64Array, arrow::Time64Type>(column);
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryArray&>(*column).dictionary();
      ARROW_ASSIGN_OR_RAISE(const auto values, Make(dictionary, name, delimiter));
      return std::make_unique<DictionaryWriter>(column, *values);
    }
    default:
      return Fail(Fault::kUsage,
                  "a value of type " + column->type()->ToString() + " has no place in CSV",
                  {.column = name}, "Write Parquet or Arrow instead, or leave the column out.");
  }
}

}  // namespace hayate::csv
