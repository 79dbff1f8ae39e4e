#include "hayate/shuffle/row_order.h"

#include <numeric>

namespace hayate::shuffle {

// A counting sort.
RowOrder::RowOrder(const std::vector<uint64_t>& hashes, int64_t partitions)
    : begin_(static_cast<size_t>(partitions) + 1, 0), rows_(hashes.size()) {
  for (const uint64_t hash : hashes) {
    ++begin_[static_cast<size_t>(PartitionOf(hash, partitions)) + 1];
  }
  std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
  std::vector<uint32_t> next(begin_.begin(), begin_.end() - 1);
  for (size_t row = 0; row < hashes.size(); ++row) {
    const auto partition = static_cast<size_t>(PartitionOf(hashes[row], partitions));
    rows_[next[partition]++] = static_cast<uint32_t>(row);
  }
}

}  // namespace hayate::shuffle
