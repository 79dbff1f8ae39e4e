#include <arrow/array/builder_dict.h>
#include <arrow/type.h>

#include <utility>

#include "hayate/csv/convert_internal.h"
#include "hayate/csv/field_walk.h"
#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

// Each text once, and its number for each row: for columns of few different texts. The dictionary
// is the block's own; whoever takes the arrays unifies them.
class DictionaryConverter : public ColumnConverter {
 public:
  explicit DictionaryConverter(const ColumnPlace& place) : place_(place) {}

  // The builder has memory of its own.
  int64_t SlabBytes() const override { return 0; }
  Status Begin(Slab*) override { return Status::OK(); }

  Status ConvertTo(int64_t end) override {
    if (HasStopped(place_, result_)) return Status::OK();
    ARROW_RETURN_NOT_OK(builder_.Reserve(end - next_));
    Status status;
    const auto append_null = [&](int64_t) { status &= builder_.AppendNull(); };
    const auto append = [&](std::string_view text) {
      if (!IsAscii(text) && !IsUtf8(text)) return false;
      status &= builder_.Append(text);
      return true;
    };
    WalkField(
        place_.block, place_.field, place_.rules, next_, end, append_null,
        [&](int64_t, const uint8_t* text, size_t size) {
          return append({reinterpret_cast<const char*>(text), size});
        },
        [&](int64_t, std::string_view text) {
          return append(text) ? ParseFault::kNone : ParseFault::kSyntax;
        },
        OnBadCell(place_, &result_, append_null));
    next_ = end;
    return status;
  }

  Result<ConvertedColumn> Finish() override {
    if (HasStopped(place_, result_)) return std::move(result_);
    ARROW_ASSIGN_OR_RAISE(result_.array, builder_.Finish());
    return std::move(result_);
  }

 private:
  const ColumnPlace place_;
  arrow::StringDictionary32Builder builder_;
  ConvertedColumn result_;
  int64_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<ColumnConverter>> MakeDictionaryConverter(const ColumnPlace& place) {
  return std::make_unique<DictionaryConverter>(place);
}

}  // namespace hayate::csv
