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
