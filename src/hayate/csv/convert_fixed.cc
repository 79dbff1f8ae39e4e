#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include <cstring>
#include <limits>
#include <utility>

#include "hayate/csv/classify.h"
#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/quick_parse.h"
#include "hayate/csv/validity.h"

namespace hayate::csv {
namespace {

static_assert(kQuickReadBytes <= kScanPaddingBytes &&
              kQuickFrontBytes <= PodBuffer<uint8_t>::kFrontBytes);

// How values of a type are read: `Quick` (quick_parse.h), then `Parse`. Slots under nulls hold
// kNullSlot: what pandas takes for a missing value, where it has one of this type.

template <typename T>
struct IntegerForm {
  using Value = T;
  static constexpr Value kNullSlot = 0;
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    int64_t value = 0;
    if (!QuickInt64(text, size, &value) || !std::in_range<T>(value)) return false;
    *out = static_cast<T>(value);
    return true;
  }
  static ParseFault Parse(std::string_view text, Value* out) { return ParseInteger<T>(text, out); }
};

struct InferredInt64Form {
  using Value = int64_t;
  static constexpr Value kNullSlot = 0;
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    // With a zero in front it is a number only where that stands alone.
    const size_t sign = text[0] == '-' ? 1 : 0;
    return (text[sign] != '0' || size == 1) && QuickInt64(text, size, out);
  }
  static ParseFault Parse(std::string_view text, Value* out) {
    if (PlainFormOf(text) != PlainForm::kInteger) return ParseFault::kSyntax;
    return ParseInteger(text, out);
  }
};

template <typename T>
struct RealForm {
  using Value = T;
  static constexpr Value kNullSlot = std::numeric_limits<T>::quiet_NaN();
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    if constexpr (!std::is_same_v<T, double>) {
      return false;
    } else {
      bool real = false;
      return QuickDouble(text, size, out, &real);
    }
  }
  static ParseFault Parse(std::string_view text, Value* out) {
    if constexpr (std::is_same_v<T, double>) {
      return ParseDouble(text, out);
    } else {
      return ParseFloat(text, out);
    }
  }
};

struct InferredDoubleForm {
  using Value = double;
  static constexpr Value kNullSlot = std::numeric_limits<double>::quiet_NaN();
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    const size_t sign = text[0] == '-' ? 1 : 0;
    bool real = false;
    // A zero in front of more digits is no number, and not every integer has a double.
    return (text[sign] != '0' || text[sign + 1] == '.') && QuickDouble(text, size, out, &real) &&
           real;
  }
  static ParseFault Parse(std::string_view text, Value* out) {
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
};

struct DateForm {
  using Value = int32_t;
  static constexpr Value kNullSlot = 0;
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    return QuickDate(text, size, out);
  }
  static ParseFault Parse(std::string_view text, Value* out) { return ParseDate(text, out); }
};

template <typename T>
struct TimeForm {
  using Value = T;
  static constexpr Value kNullSlot = 0;
  arrow::TimeUnit::type unit;
  static bool Quick(const uint8_t*, size_t, Value*) { return false; }
  ParseFault Parse(std::string_view text, Value* out) const {
    int64_t value = 0;
    const ParseFault fault = ParseTime(text, unit, &value);
    *out = static_cast<T>(value);  // seconds and milliseconds of a day fit 32 bits
    return fault;
  }
};

struct TimestampForm {
  using Value = int64_t;
  static constexpr Value kNullSlot = std::numeric_limits<int64_t>::min();
  arrow::TimeUnit::type unit;
  ZoneForm zone;
  bool date_alone;
  bool Quick(const uint8_t* text, size_t size, Value* out) const {
    return QuickTimestamp(text, size, 3 * static_cast<size_t>(unit), zone != ZoneForm::kNone,
                          zone != ZoneForm::kRequired, out);
  }
  ParseFault Parse(std::string_view text, Value* out) const {
    return ParseTimestamp(text, unit, zone, date_alone, out);
  }
};

struct Decimal128Form {
  using Value = arrow::Decimal128;
  static constexpr Value kNullSlot{};
  int precision;
  int scale;
  static bool Quick(const uint8_t*, size_t, Value*) { return false; }
  ParseFault Parse(std::string_view text, Value* out) const {
    return ParseDecimal128(text, precision, scale, out);
  }
};

struct Decimal256Form {
  using Value = arrow::Decimal256;
  static constexpr Value kNullSlot{};
  int precision;
  int scale;
  static bool Quick(const uint8_t*, size_t, Value*) { return false; }
  ParseFault Parse(std::string_view text, Value* out) const {
    return ParseDecimal256(text, precision, scale, out);
  }
};

template <typename Form>
class FixedConverter : public ColumnConverter {
 public:
  static Result<std::unique_ptr<ColumnConverter>> Make(const ColumnPlace& place, Form form = {}) {
    ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(place.block.rows));
    ARROW_ASSIGN_OR_RAISE(
        std::shared_ptr<arrow::Buffer> values,
        arrow::AllocateBuffer(place.block.rows * static_cast<int64_t>(sizeof(Value))));
    return std::unique_ptr<ColumnConverter>(
        new FixedConverter(place, form, std::move(validity), std::move(values)));
  }

  Status ConvertTo(int64_t end) override {
    if (result_.bad) return Status::OK();
    auto* const values = reinterpret_cast<Value*>(values_->mutable_data());
    const Form form = form_;
    WalkField(
        place_.block, place_.field, place_.rules, next_, end, &result_.bad,
        [&](int64_t row) {
          validity_.SetNull(row);
          values[row] = Form::kNullSlot;
        },
        [&](int64_t row, const uint8_t* text, size_t size) {
          return form.Quick(text, size, values + row);
        },
        [&](int64_t row, std::string_view text) {
          Value value{};
          const ParseFault fault = form.Parse(text, &value);
          values[row] = value;
          return fault;
        });
    next_ = end;
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (result_.bad) return std::move(result_);
    if constexpr (std::is_same_v<Form, InferredInt64Form>) FindInexact();
    result_.array = arrow::MakeArray(
        arrow::ArrayData::Make(place_.type, place_.block.rows,
                               {validity_.buffer(), std::move(values_)}, validity_.null_count()));
    return std::move(result_);
  }

 private:
  using Value = typename Form::Value;

  FixedConverter(const ColumnPlace& place, Form form, Validity validity,
                 std::shared_ptr<arrow::Buffer> values)
      : place_(place), form_(form), validity_(std::move(validity)), values_(std::move(values)) {}

  void FindInexact() {
    const auto* const values = reinterpret_cast<const int64_t*>(values_->data());
    for (int64_t row = 0; row < place_.block.rows; ++row) {
      if (IsExactInDouble(values[row])) [[likely]] {
        continue;
      }
      result_.inexact_row = row;
      return;
    }
  }

  const ColumnPlace place_;
  const Form form_;
  Validity validity_;
  std::shared_ptr<arrow::Buffer> values_;
  ConvertedColumn result_;
  int64_t next_ = 0;
};

class BoolConverter : public ColumnConverter {
 public:
  static Result<std::unique_ptr<ColumnConverter>> Make(const ColumnPlace& place, bool inferred) {
    ARROW_ASSIGN_OR_RAISE(Validity validity, Validity::Make(place.block.rows));
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits,
                          arrow::AllocateBuffer((place.block.rows + 7) / 8));
    std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
    return std::unique_ptr<ColumnConverter>(
        new BoolConverter(place, inferred, std::move(validity), std::move(bits)));
  }

  Status ConvertTo(int64_t end) override {
    if (result_.bad) return Status::OK();
    uint8_t* const bits = bits_->mutable_data();
    const auto set = [bits](int64_t row, bool value) {
      bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | ((value ? 1U : 0U) << (row % 8)));
    };
    WalkField(
        place_.block, place_.field, place_.rules, next_, end, &result_.bad,
        [&](int64_t row) { validity_.SetNull(row); },
        [&](int64_t row, const uint8_t* text, size_t size) {
          const bool is_true = size == 4 && std::memcmp(text, "true", 4) == 0;
          if (!quick_ || !(is_true || (size == 5 && std::memcmp(text, "false", 5) == 0))) {
            return false;
          }
          set(row, is_true);
          return true;
        },
        [&](int64_t row, std::string_view text) {
          if (inferred_ && !place_.rules.IsInferredBool(text)) return ParseFault::kSyntax;
          const bool is_true = place_.rules.IsTrue(text);
          if (!is_true && !place_.rules.IsFalse(text)) return ParseFault::kSyntax;
          set(row, is_true);
          return ParseFault::kNone;
        });
    next_ = end;
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (result_.bad) return std::move(result_);
    result_.array = arrow::MakeArray(arrow::ArrayData::Make(place_.type, place_.block.rows,
                                                            {validity_.buffer(), std::move(bits_)},
                                                            validity_.null_count()));
    return std::move(result_);
  }

 private:
  BoolConverter(const ColumnPlace& place, bool inferred, Validity validity,
                std::shared_ptr<arrow::Buffer> bits)
      : place_(place),
        inferred_(inferred),
        quick_(IsUsual("true", true) && IsUsual("false", false)),
        validity_(std::move(validity)),
        bits_(std::move(bits)) {}

  // Whether the options leave this spelling its usual meaning.
  bool IsUsual(std::string_view text, bool meaning) const {
    const CellRules& rules = place_.rules;
    return rules.IsTrue(text) == meaning && rules.IsFalse(text) != meaning &&
           (!inferred_ || rules.IsInferredBool(text));
  }

  const ColumnPlace place_;
  const bool inferred_;
  const bool quick_;
  Validity validity_;
  std::shared_ptr<arrow::Buffer> bits_;
  ConvertedColumn result_;
  int64_t next_ = 0;
};

template <typename T>
Result<std::unique_ptr<ColumnConverter>> MakeInteger(const ColumnPlace& place) {
  return FixedConverter<IntegerForm<T>>::Make(place);
}

Result<std::unique_ptr<ColumnConverter>> MakeTimestamp(const ColumnPlace& place, bool inferred) {
  const auto& type = static_cast<const arrow::TimestampType&>(*place.type);
  ZoneForm zone = ZoneForm::kNone;
  if (!type.timezone().empty()) zone = inferred ? ZoneForm::kRequired : ZoneForm::kOptional;
  return FixedConverter<TimestampForm>::Make(place, {type.unit(), zone, !inferred});
}

Result<std::unique_ptr<ColumnConverter>> MakeDecimal(const ColumnPlace& place) {
  const auto& type = static_cast<const arrow::DecimalType&>(*place.type);
  if (type.id() == arrow::Type::DECIMAL128) {
    return FixedConverter<Decimal128Form>::Make(place, {type.precision(), type.scale()});
  }
  return FixedConverter<Decimal256Form>::Make(place, {type.precision(), type.scale()});
}

}  // namespace

Result<std::unique_ptr<ColumnConverter>> MakeFixedConverter(const ColumnPlace& place,
                                                            bool inferred) {
  const arrow::DataType& type = *place.type;
  switch (type.id()) {
    case arrow::Type::BOOL:
      return BoolConverter::Make(place, inferred);
    case arrow::Type::INT8:
      return MakeInteger<int8_t>(place);
    case arrow::Type::INT16:
      return MakeInteger<int16_t>(place);
    case arrow::Type::INT32:
      return MakeInteger<int32_t>(place);
    case arrow::Type::INT64:
      return inferred ? FixedConverter<InferredInt64Form>::Make(place)
                      : MakeInteger<int64_t>(place);
    case arrow::Type::UINT8:
      return MakeInteger<uint8_t>(place);
    case arrow::Type::UINT16:
      return MakeInteger<uint16_t>(place);
    case arrow::Type::UINT32:
      return MakeInteger<uint32_t>(place);
    case arrow::Type::UINT64:
      return MakeInteger<uint64_t>(place);
    case arrow::Type::FLOAT:
      return FixedConverter<RealForm<float>>::Make(place);
    case arrow::Type::DOUBLE:
      return inferred ? FixedConverter<InferredDoubleForm>::Make(place)
                      : FixedConverter<RealForm<double>>::Make(place);
    case arrow::Type::DATE32:
      return FixedConverter<DateForm>::Make(place);
    case arrow::Type::TIME32:
      return FixedConverter<TimeForm<int32_t>>::Make(
          place, {static_cast<const arrow::Time32Type&>(type).unit()});
    case arrow::Type::TIME64:
      return FixedConverter<TimeForm<int64_t>>::Make(
          place, {static_cast<const arrow::Time64Type&>(type).unit()});
    case arrow::Type::TIMESTAMP:
      return MakeTimestamp(place, inferred);
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return MakeDecimal(place);
    default:
      return Fail(Fault::kInternal, "no CSV converter for " + type.ToString());
  }
}

}  // namespace hayate::csv
