#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hayate::shuffle {

/// The partition of a row with this hash: fixed for ever, as the hash is. (The high bits of the
/// product choose: partitions are ranges of hashes.)
inline int64_t PartitionOf(uint64_t hash, int64_t partitions) {
  return static_cast<int64_t>(
      (static_cast<unsigned __int128>(hash) * static_cast<uint64_t>(partitions)) >> 64);
}

/// The rows of one batch, put in order of their partitions; within one, as they stood.
class RowOrder {
 public:
  RowOrder(const std::vector<uint64_t>& hashes, int64_t partitions);

  /// Rows of the batch that belong to `partition`, ascending.
  std::span<const uint32_t> RowsOf(int64_t partition) const {
    const auto p = static_cast<size_t>(partition);
    return std::span(rows_).subspan(begin_[p], begin_[p + 1] - begin_[p]);
  }

 private:
  std::vector<uint32_t> begin_;
  std::vector<uint32_t> rows_;
};

}  // namespace hayate::shuffle
