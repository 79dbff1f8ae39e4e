#pragma once

#include <arrow/buffer.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "hayate/csv/slab.h"

namespace hayate::csv {

/// A validity bitmap under construction: all valid until told otherwise.
class Validity {
 public:
  static int64_t SlabBytes(int64_t rows) { return Slab::BytesOf((rows + 7) / 8); }

  Status Begin(int64_t rows, Slab* slab) {
    const int64_t bytes = (rows + 7) / 8;
    ARROW_ASSIGN_OR_RAISE(bits_, slab->Take(bytes));
    std::memset(bits_->mutable_data(), 0xff, static_cast<size_t>(bytes));
    // Bits behind the last row are zero, so that equal columns have equal bytes.
    if (rows % 8 != 0) bits_->mutable_data()[bytes - 1] = static_cast<uint8_t>((1 << rows % 8) - 1);
    return Status::OK();
  }

  void SetNull(int64_t row) {
    bits_->mutable_data()[row / 8] &= static_cast<uint8_t>(~(1U << (row % 8)));
    ++null_count_;
  }

  int64_t null_count() const { return null_count_; }
  /// The bitmap, or null where every row is valid.
  std::shared_ptr<arrow::Buffer> buffer() const { return null_count_ == 0 ? nullptr : bits_; }

 private:
  std::shared_ptr<arrow::Buffer> bits_;
  int64_t null_count_ = 0;
};

}  // namespace hayate::csv
