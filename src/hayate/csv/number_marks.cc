#include "hayate/csv/number_marks.h"

namespace hayate::csv {
namespace {

constexpr size_t kDigitsOfGroup = 3;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<std::string_view> NumberMarks::ToUsual(std::string_view text,
                                                     std::string* scratch) const {
  if (are_usual()) return text;
  scratch->clear();
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  scratch->append(text.substr(0, at));
  const size_t first = at;
  bool grouped = false;
  size_t digits = 0;  // of the present group
  for (; at < text.size(); ++at) {
    if (IsDigit(text[at])) {
      scratch->push_back(text[at]);
      ++digits;
      continue;
    }
    if (thousands == '\0' || text[at] != thousands) break;
    const bool whole = grouped ? digits == kDigitsOfGroup : digits - 1 < kDigitsOfGroup;
    // 0.001 has no thousands: the mark is likelier to be that of decimals.
    if (!whole || text[first] == '0') return std::nullopt;
    grouped = true;
    digits = 0;
  }
  if (grouped && digits != kDigitsOfGroup) return std::nullopt;
  std::string_view rest = text.substr(at);
  if (!rest.empty() && rest[0] == decimal) {
    scratch->push_back('.');
    rest.remove_prefix(1);
  }
  if (rest.find('.') != std::string_view::npos) return std::nullopt;
  scratch->append(rest);
  return *scratch;
}

}  // namespace hayate::csv
