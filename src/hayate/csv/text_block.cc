#include "hayate/csv/text_block.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace hayate::csv {

int64_t CountLines(std::string_view text, bool after_cr) {
  int64_t lines = 0;
  for (const char c : text) {
    lines += (c == '\r' || (c == '\n' && !after_cr)) ? 1 : 0;
    after_cr = c == '\r';
  }
  return lines;
}

int64_t TextBlock::LineAt(int64_t row, size_t at) const {
  const Gap gap = GapBefore(row);
  const auto* const bytes = reinterpret_cast<const char*>(text.data());
  return gap.line + CountLines({bytes + gap.at, at - gap.at}, gap.after_cr);
}

TextBlock::Gap TextBlock::GapBefore(int64_t row) const {
  const auto after = std::upper_bound(gaps.begin(), gaps.end(), row,
                                      [](int64_t at, const Gap& gap) { return at < gap.row; });
  if (after == gaps.begin()) return {.line = first_line, .after_cr = this->after_cr};
  return *std::prev(after);
}

uint32_t TextBlock::SkipComments(uint32_t start, uint32_t end) const {
  const auto* const bytes = reinterpret_cast<const char*>(text.data());
  while (start < end) {
    const std::string_view rest(bytes + start, end - start);
    if (!rest.starts_with(dialect.comment_prefix)) return start;
    const size_t line_end = rest.find_first_of("\r\n");
    if (line_end == std::string_view::npos) return end + 1;
    start = SkipLineEnds(start + static_cast<uint32_t>(line_end) + 1, end);
  }
  return start;
}

namespace {

// Part `part` of `parts` of the lines of [from, to), into the second level: the first is too small
// for what is read meanwhile.
void PrefetchPart(const uint8_t* from, const uint8_t* to, size_t part, size_t parts) {
  constexpr size_t kLineBytes = 64;
  constexpr int kSecondLevel = 2;
  const size_t lines = (static_cast<size_t>(to - from) + kLineBytes - 1) / kLineBytes;
  const uint8_t* const end = from + lines * (part + 1) / parts * kLineBytes;
  for (const uint8_t* at = from + lines * part / parts * kLineBytes; at < end; at += kLineBytes) {
    __builtin_prefetch(at, 0, kSecondLevel);
  }
}

}  // namespace

void TextBlock::Prefetch(int64_t begin, int64_t end, size_t part, size_t parts) const {
  const auto entry_of = [&](int64_t row) {
    return ends.data() + first_end + static_cast<size_t>(row) * static_cast<size_t>(columns);
  };
  if (begin == end) return;
  const uint32_t* const from = entry_of(begin);
  const uint32_t* const to = entry_of(end);
  PrefetchPart(reinterpret_cast<const uint8_t*>(from), reinterpret_cast<const uint8_t*>(to), part,
               parts);
  PrefetchPart(text.data() + static_cast<uint32_t>(*from + 1), text.data() + *to, part, parts);
}

std::unique_ptr<TextBlock> BlockPool::Take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (kept_.empty()) return std::make_unique<TextBlock>();
  auto block = std::move(kept_.back());
  kept_.pop_back();
  return block;
}

void BlockPool::Give(std::unique_ptr<TextBlock> block) {
  if (block->text.capacity() > kMostTextBytes) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (kept_.size() < kMostKept) kept_.push_back(std::move(block));
}

}  // namespace hayate::csv
