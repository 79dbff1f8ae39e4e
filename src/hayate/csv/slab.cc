#include "hayate/csv/slab.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hayate::csv {

Result<std::shared_ptr<arrow::Buffer>> Slab::Take(int64_t bytes) {
  const int64_t whole = BytesOf(bytes);
  if (memory_ == nullptr || whole > memory_->size() - used_) return arrow::AllocateBuffer(bytes);
  auto buffer = arrow::SliceMutableBuffer(memory_, used_, bytes);
  std::memset(memory_->mutable_data() + used_ + bytes, 0, static_cast<size_t>(whole - bytes));
  used_ += whole;
  return buffer;
}

// Memory that goes back when its last user is gone.
class SlabPool::Lent : public arrow::MutableBuffer {
 public:
  Lent(std::unique_ptr<arrow::Buffer> memory, const std::shared_ptr<Kept>& kept)
      : arrow::MutableBuffer(memory->mutable_data(), memory->size()),
        memory_(std::move(memory)),
        kept_(kept) {}

  ~Lent() override {
    // Not what a far longer record has made large.
    constexpr int64_t kMostBytes = 64 * 1024 * 1024;
    const auto kept = kept_.lock();
    if (kept == nullptr || memory_->size() > kMostBytes) return;
    const std::lock_guard<std::mutex> lock(kept->mutex);
    if (kept->memory.size() < kMostKept) kept->memory.push_back(std::move(memory_));
  }

 private:
  std::unique_ptr<arrow::Buffer> memory_;
  const std::weak_ptr<Kept> kept_;
};

Result<Slab> SlabPool::Take(int64_t bytes) {
  std::unique_ptr<arrow::Buffer> memory;
  {
    const std::lock_guard<std::mutex> lock(kept_->mutex);
    auto& all = kept_->memory;
    const auto fits =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one->size() >= bytes; });
    if (fits != all.end()) {
      memory = std::move(*fits);
      all.erase(fits);
    } else if (!all.empty()) {
      all.pop_back();  // too small for what comes now
    }
  }
  if (memory == nullptr) {
    ARROW_ASSIGN_OR_RAISE(memory, arrow::AllocateBuffer(bytes));
  }
  return Slab(std::make_shared<Lent>(std::move(memory), kept_));
}

}  // namespace hayate::csv
