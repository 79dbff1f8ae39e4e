#include <arrow/array.h>
#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include <cstring>
#include <limits>
#include <optional>
#include <string>
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
  static constexpr bool kIsNumber = true;
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
  static constexpr bool kIsNumber = true;
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
  static constexpr bool kIsNumber = true;
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
  static constexpr bool kIsNumber = true;
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
  static constexpr bool kIsNumber = false;
  using Value = int32_t;
  static constexpr Value kNullSlot = 0;
  static bool Quick(const uint8_t* text, size_t size, Value* out) {
    return QuickDate(text, size, out);
  }
  static ParseFault Parse(std::string_view text, Value* out) { return ParseDate(text, out); }
};

template <typename T>
struct TimeForm {
  static constexpr bool kIsNumber = false;
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
  static constexpr bool kIsNumber = false;
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
  static constexpr bool kIsNumber = true;
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
  static constexpr bool kIsNumber = true;
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
  FixedConverter(const ColumnPlace& place, Form form) : place_(place), form_(form) {}

  int64_t SlabBytes() const override {
    return Validity::SlabBytes(place_.block.rows) + Slab::BytesOf(ValueBytes());
  }

  Status Begin(Slab* slab) override {
    ARROW_RETURN_NOT_OK(validity_.Begin(place_.block.rows, slab));
    return slab->Take(ValueBytes()).Value(&values_);
  }

  Status ConvertTo(int64_t end) override {
    if (HasStopped(place_, result_)) return Status::OK();
    auto* const values = reinterpret_cast<Value*>(values_->mutable_data());
    const Form form = form_;
    const bool quick = !Form::kIsNumber || place_.rules.marks.are_usual();
    const auto set_null = [&](int64_t row) {
      validity_.SetNull(row);
      values[row] = Form::kNullSlot;
    };
    WalkField(
        place_.block, place_.field, place_.rules, next_, end, set_null,
        [&](int64_t row, const uint8_t* text, size_t size) {
          return quick && form.Quick(text, size, values + row);
        },
        [&](int64_t row, std::string_view text) {
          Value value{};
          const ParseFault fault = ParseWith(form, WithoutBlanks(text), &value);
          values[row] = value;
          return fault;
        },
        OnBadCell(place_, &result_, set_null));
    next_ = end;
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (HasStopped(place_, result_)) return std::move(result_);
    if constexpr (std::is_same_v<Form, InferredInt64Form>) FindInexact();
    result_.array = arrow::MakeArray(
        arrow::ArrayData::Make(place_.type, place_.block.rows,
                               {validity_.buffer(), std::move(values_)}, validity_.null_count()));
    return std::move(result_);
  }

 private:
  using Value = typename Form::Value;

  int64_t ValueBytes() const { return place_.block.rows * static_cast<int64_t>(sizeof(Value)); }

  ParseFault ParseWith(const Form& form, std::string_view text, Value* out) {
    if constexpr (Form::kIsNumber) {
      const std::optional<std::string_view> usual = place_.rules.marks.ToUsual(text, &number_);
      return usual ? form.Parse(*usual, out) : ParseFault::kSyntax;
    } else {
      return form.Parse(text, out);
    }
  }

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
  std::string number_;
};

class BoolConverter : public ColumnConverter {
 public:
  explicit BoolConverter(const ColumnPlace& place)
      : place_(place), quick_(IsUsual("true", true) && IsUsual("false", false)) {}

  int64_t SlabBytes() const override {
    return Validity::SlabBytes(place_.block.rows) + Slab::BytesOf(BitBytes());
  }

  Status Begin(Slab* slab) override {
    ARROW_RETURN_NOT_OK(validity_.Begin(place_.block.rows, slab));
    ARROW_ASSIGN_OR_RAISE(bits_, slab->Take(BitBytes()));
    std::memset(bits_->mutable_data(), 0, static_cast<size_t>(bits_->size()));
    return Status::OK();
  }

  Status ConvertTo(int64_t end) override {
    if (HasStopped(place_, result_)) return Status::OK();
    uint8_t* const bits = bits_->mutable_data();
    const auto set = [bits](int64_t row, bool value) {
      bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | ((value ? 1U : 0U) << (row % 8)));
    };
    const auto set_null = [&](int64_t row) { validity_.SetNull(row); };
    WalkField(
        place_.block, place_.field, place_.rules, next_, end, set_null,
        [&](int64_t row, const uint8_t* text, size_t size) {
          const bool is_true = size == 4 && std::memcmp(text, "true", 4) == 0;
          if (!quick_ || !(is_true || (size == 5 && std::memcmp(text, "false", 5) == 0))) {
            return false;
          }
          set(row, is_true);
          return true;
        },
        [&](int64_t row, std::string_view text) {
          text = WithoutBlanks(text);
          if (place_.options.inferred && !place_.rules.IsInferredBool(text)) {
            return ParseFault::kSyntax;
          }
          const bool is_true = place_.rules.IsTrue(text);
          if (!is_true && !place_.rules.IsFalse(text)) return ParseFault::kSyntax;
          set(row, is_true);
          return ParseFault::kNone;
        },
        OnBadCell(place_, &result_, set_null));
    next_ = end;
    return Status::OK();
  }

  Result<ConvertedColumn> Finish() override {
    if (HasStopped(place_, result_)) return std::move(result_);
    result_.array = arrow::MakeArray(arrow::ArrayData::Make(place_.type, place_.block.rows,
                                                            {validity_.buffer(), std::move(bits_)},
                                                            validity_.null_count()));
    return std::move(result_);
  }

 private:
  int64_t BitBytes() const { return (place_.block.rows + 7) / 8; }

  // Whether the options leave this spelling its usual meaning.
  bool IsUsual(std::string_view text, bool meaning) const {
    const CellRules& rules = place_.rules;
    return rules.IsTrue(text) == meaning && rules.IsFalse(text) != meaning &&
           (!place_.options.inferred || rules.IsInferredBool(text));
  }

  const ColumnPlace place_;
  const bool quick_;
  Validity validity_;
  std::shared_ptr<arrow::Buffer> bits_;
  ConvertedColumn result_;
  int64_t next_ = 0;
};

template <typename Form>
Result<std::unique_ptr<ColumnConverter>> MakeFixed(const ColumnPlace& place, Form form = {}) {
  return std::make_unique<FixedConverter<Form>>(place, form);
}

Result<std::unique_ptr<ColumnConverter>> MakeTimestamp(const ColumnPlace& place) {
  const bool inferred = place.options.inferred;
  const auto& type = static_cast<const arrow::TimestampType&>(*place.type);
  ZoneForm zone = ZoneForm::kNone;
  if (!type.timezone().empty()) zone = inferred ? ZoneForm::kRequired : ZoneForm::kOptional;
  return MakeFixed(place, TimestampForm{type.unit(), zone, !inferred});
}

Result<std::unique_ptr<ColumnConverter>> MakeDecimal(const ColumnPlace& place) {
  const auto& type = static_cast<const arrow::DecimalType&>(*place.type);
  if (type.id() == arrow::Type::DECIMAL128) {
    return MakeFixed(place, Decimal128Form{type.precision(), type.scale()});
  }
  return MakeFixed(place, Decimal256Form{type.precision(), type.scale()});
}

}  // namespace

Result<std::unique_ptr<ColumnConverter>> MakeFixedConverter(const ColumnPlace& place) {
  const bool inferred = place.options.inferred;
  const arrow::DataType& type = *place.type;
  switch (type.id()) {
    case arrow::Type::BOOL:
      return std::make_unique<BoolConverter>(place);
    case arrow::Type::INT8:
      return MakeFixed<IntegerForm<int8_t>>(place);
    case arrow::Type::INT16:
      return MakeFixed<IntegerForm<int16_t>>(place);
    case arrow::Type::INT32:
      return MakeFixed<IntegerForm<int32_t>>(place);
    case arrow::Type::INT64:
      return inferred ? MakeFixed<InferredInt64Form>(place)
                      : MakeFixed<IntegerForm<int64_t>>(place);
    case arrow::Type::UINT8:
      return MakeFixed<IntegerForm<uint8_t>>(place);
    case arrow::Type::UINT16:
      return MakeFixed<IntegerForm<uint16_t>>(place);
    case arrow::Type::UINT32:
      return MakeFixed<IntegerForm<uint32_t>>(place);
    case arrow::Type::UINT64:
      return MakeFixed<IntegerForm<uint64_t>>(place);
    case arrow::Type::FLOAT:
      return MakeFixed<RealForm<float>>(place);
    case arrow::Type::DOUBLE:
      return inferred ? MakeFixed<InferredDoubleForm>(place) : MakeFixed<RealForm<double>>(place);
    case arrow::Type::DATE32:
      return MakeFixed<DateForm>(place);
    case arrow::Type::TIME32:
      return MakeFixed(place,
                       TimeForm<int32_t>{static_cast<const arrow::Time32Type&>(type).unit()});
    case arrow::Type::TIME64:
      return MakeFixed(place,
                       TimeForm<int64_t>{static_cast<const arrow::Time64Type&>(type).unit()});
    case arrow::Type::TIMESTAMP:
      return MakeTimestamp(place);
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return MakeDecimal(place);
    default:
      return Fail(Fault::kInternal, "no CSV converter for " + type.ToString());
  }
}

}  // namespace hayate::csv
