#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/sparse_sink.h"

namespace hayate::frame {

/// How a column's data comes to its place.
enum class Placement {
  kFixed,   ///< values of whole bytes, dictionary indices among them: copied batch by batch
  kBits,    ///< booleans: gathered in memory, batches do not begin at whole bytes
  kText,    ///< large_string, large_binary: offsets and bytes, copied batch by batch
  kMemory,  ///< nested and the like: concatenated in memory
};

/// Bits of a whole column, gathered by any number of threads.
class Bitmap {
 public:
  static Result<std::unique_ptr<Bitmap>> Make(int64_t rows);
  /// `source` null: all set.
  void Copy(const uint8_t* source, int64_t offset, int64_t length, int64_t row);
  const uint8_t* data() const;

 private:
  std::mutex mutex_;
  std::shared_ptr<arrow::Buffer> bits_;
};

struct WholeBatch {
  int64_t part = 0;
  int64_t batch = 0;
  int64_t row = 0;  ///< of the frame, at its start
  int64_t rows = 0;
  std::vector<int64_t> nulls = {};       ///< by column
  std::vector<int64_t> text_bytes = {};  ///< by column: before this batch, once measured
  std::vector<std::shared_ptr<arrow::Array>> in_memory = {};  ///< by column, where kMemory
};

/// A buffer of the file: reserved addresses while it is laid out, then its place. Unset (-1) if the
/// column has none.
struct Place {
  uint8_t* address = nullptr;
  int64_t offset = -1;
};

struct WholeColumn {
  Placement placement = Placement::kFixed;
  int64_t width = 0;  ///< bytes of a value, where kFixed
  int64_t nulls = 0;
  int64_t text_bytes = 0;
  Place validity;
  Place values;  ///< or a text's offsets
  Place text;
  std::unique_ptr<Bitmap> valid_bits;
  std::unique_ptr<Bitmap> value_bits;
};

/// Where everything of a frame will lie in one file of a single record batch.
class WholeLayout {
 public:
  WholeLayout(const FrameReader& frame, DictionaryMerge dictionaries);

  /// Learns the sizes from all batches.
  Status Measure(int threads);
  /// Has Arrow write the file over reserved addresses and looks up where they have come to lie. The
  /// holes are the caller's to fill.
  Result<std::shared_ptr<SparseSink>> Lay(
      const std::string& path, const std::shared_ptr<const arrow::KeyValueMetadata>& footer);

  /// A column of a batch as the file has it.
  Result<std::shared_ptr<arrow::Array>> Conformed(const WholeBatch& place,
                                                  const arrow::RecordBatch& batch,
                                                  size_t column) const;

  int64_t rows() const { return rows_; }
  int64_t bitmap_bytes() const { return (rows_ + 7) / 8; }
  const std::vector<WholeBatch>& batches() const { return batches_; }
  const std::vector<WholeColumn>& columns() const { return columns_; }

 private:
  Status MeasureBatch(WholeBatch& place) const;
  int64_t ValueBytes(const WholeColumn& column) const;
  int64_t BytesToReserve() const;
  Result<std::shared_ptr<arrow::ArrayData>> Placeholder(size_t index, ReservedAddresses* reserved);
  Result<std::shared_ptr<arrow::Array>> ConcatenateInMemory(
      size_t index, const std::shared_ptr<arrow::DataType>& type);

  const FrameReader& frame_;
  const DictionaryMerge dictionaries_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::vector<WholeColumn> columns_;
  std::vector<WholeBatch> batches_;
  int64_t rows_ = 0;
};

}  // namespace hayate::frame
