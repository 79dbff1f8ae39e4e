#include "hayate/csv/text_block.h"

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

int64_t TextBlock::LineOfRow(int64_t row) const {
  const char* const start = reinterpret_cast<const char*>(text.data());
  const char* const at = RawField(row, 0).data();
  return first_line + CountLines({start, static_cast<size_t>(at - start)}, after_cr);
}

void TextBlock::Prefetch(int64_t begin, int64_t end) const {
  constexpr size_t kLineBytes = 64;
  constexpr size_t kEntriesOfLine = kLineBytes / sizeof(uint32_t);
  const auto entry_of = [&](int64_t row) {
    return ends.data() + first_end + static_cast<size_t>(row) * static_cast<size_t>(columns);
  };
  const uint32_t* const from = entry_of(begin);
  const uint32_t* const to = entry_of(end);
  for (const uint32_t* entry = from; entry <= to; entry += kEntriesOfLine) {
    __builtin_prefetch(entry);
  }
  for (size_t at = static_cast<uint32_t>(*from + 1); at <= *to; at += kLineBytes) {
    __builtin_prefetch(text.data() + at);
  }
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
