#include "hayate/frame/unify_types.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>

namespace hayate::frame {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

bool IsText(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}

bool IsBytes(arrow::Type::type id) {
  return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY ||
         id == arrow::Type::BINARY_VIEW;
}

TypePtr SignedOfWidth(int bits) {
  switch (bits) {
    case 8:
      return arrow::int8();
    case 16:
      return arrow::int16();
    case 32:
      return arrow::int32();
    default:
      return arrow::int64();
  }
}

TypePtr UnifyIntegers(const TypePtr& left, const TypePtr& right) {
  if (arrow::is_signed_integer(left->id()) == arrow::is_signed_integer(right->id())) {
    return left->bit_width() >= right->bit_width() ? left : right;
  }
  const TypePtr& plain = arrow::is_signed_integer(left->id()) ? right : left;
  const TypePtr& with_sign = arrow::is_signed_integer(left->id()) ? left : right;
  // No integer holds all of uint64 and negative numbers; double does where all are exact.
  if (plain->bit_width() == 64) return arrow::float64();
  return SignedOfWidth(std::max(2 * plain->bit_width(), with_sign->bit_width()));
}

TypePtr UnifyDecimals(const TypePtr& left, const TypePtr& right) {
  const auto& a = static_cast<const arrow::DecimalType&>(*left);
  const auto& b = static_cast<const arrow::DecimalType&>(*right);
  const int32_t scale = std::max(a.scale(), b.scale());
  const int32_t digits = std::max(a.precision() - a.scale(), b.precision() - b.scale());
  const int32_t precision = digits + scale;
  if (precision > arrow::Decimal256Type::kMaxPrecision) return nullptr;
  if (precision > arrow::Decimal128Type::kMaxPrecision || left->id() == arrow::Type::DECIMAL256 ||
      right->id() == arrow::Type::DECIMAL256) {
    return arrow::decimal256(precision, scale);
  }
  return arrow::decimal128(precision, scale);
}

TypePtr UnifyTimestamps(const TypePtr& left, const TypePtr& right) {
  const auto& a = static_cast<const arrow::TimestampType&>(*left);
  const auto& b = static_cast<const arrow::TimestampType&>(*right);
  if (a.timezone() != b.timezone()) return nullptr;
  return a.unit() >= b.unit() ? left : right;  // TimeUnit grows finer
}

TypePtr UnifyDictionaries(const TypePtr& left, const TypePtr& right) {
  const auto& a = static_cast<const arrow::DictionaryType&>(*left);
  const auto& b = static_cast<const arrow::DictionaryType&>(*right);
  const TypePtr values = UnifyTypes(a.value_type(), b.value_type());
  const TypePtr index = UnifyIntegers(a.index_type(), b.index_type());
  if (!values || !arrow::is_integer(index->id())) return nullptr;
  return arrow::dictionary(index, values, a.ordered() && b.ordered());
}

// Arrow casts no dictionaries inside a list to others.
TypePtr WithoutDictionary(const TypePtr& type) {
  return type->id() == arrow::Type::DICTIONARY
             ? static_cast<const arrow::DictionaryType&>(*type).value_type()
             : type;
}

TypePtr UnifyLists(const TypePtr& left, const TypePtr& right) {
  const auto& a = left->field(0);
  const auto& b = right->field(0);
  const TypePtr values = UnifyTypes(WithoutDictionary(a->type()), WithoutDictionary(b->type()));
  if (!values) return nullptr;
  const auto field = a->WithType(values)->WithNullable(a->nullable() || b->nullable());
  const bool large =
      left->id() == arrow::Type::LARGE_LIST || right->id() == arrow::Type::LARGE_LIST;
  return large ? arrow::large_list(field) : arrow::list(field);
}

bool IsList(arrow::Type::type id) {
  return id == arrow::Type::LIST || id == arrow::Type::LARGE_LIST;
}

bool IsNumber(arrow::Type::type id) { return arrow::is_integer(id) || arrow::is_floating(id); }

}  // namespace

TypePtr UnifyTypes(const TypePtr& left, const TypePtr& right) {
  const auto a = left->id();
  const auto b = right->id();
  if (left->Equals(*right)) return left;
  if (a == arrow::Type::NA) return right;
  if (b == arrow::Type::NA) return left;
  if (a == arrow::Type::DICTIONARY && b == arrow::Type::DICTIONARY) {
    return UnifyDictionaries(left, right);
  }
  if (a == arrow::Type::DICTIONARY) {
    return UnifyTypes(static_cast<const arrow::DictionaryType&>(*left).value_type(), right);
  }
  if (b == arrow::Type::DICTIONARY) return UnifyTypes(right, left);
  if (arrow::is_integer(a) && arrow::is_integer(b)) return UnifyIntegers(left, right);
  if (arrow::is_floating(a) && arrow::is_floating(b)) {
    return left->bit_width() >= right->bit_width() ? left : right;
  }
  if (IsNumber(a) && IsNumber(b)) return arrow::float64();
  if (IsText(a) && IsText(b)) return arrow::large_utf8();
  if (IsBytes(a) && IsBytes(b)) return arrow::large_binary();
  if (arrow::is_decimal(a) && arrow::is_decimal(b)) return UnifyDecimals(left, right);
  if (a == arrow::Type::TIMESTAMP && b == a) return UnifyTimestamps(left, right);
  if (a == arrow::Type::DURATION && b == a) {
    return static_cast<const arrow::DurationType&>(*left).unit() >=
                   static_cast<const arrow::DurationType&>(*right).unit()
               ? left
               : right;
  }
  if (IsList(a) && IsList(b)) return UnifyLists(left, right);
  return nullptr;
}

const arrow::DataType& InnermostType(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) {
    return InnermostType(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return IsList(type.id()) ? InnermostType(*type.field(0)->type()) : type;
}

}  // namespace hayate::frame
