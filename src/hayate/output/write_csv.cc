#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <vector>

#include "hayate/csv/write.h"
#include "hayate/frame/row_bytes.h"
#include "hayate/output/gzip.h"
#include "hayate/output/ordered_encoder.h"
#include "hayate/output/writers.h"

namespace hayate::output {
namespace {

// Large enough that a gzip member compresses well, small enough that many fit in memory.
constexpr int64_t kMostPieceRows = 32 * 1024;
constexpr int64_t kMostPieceBytes = 8 * 1024 * 1024;

// Some rows of one batch.
struct Piece {
  int64_t part;
  int64_t batch;
  int64_t row;
  int64_t rows;
};

Result<std::vector<Piece>> Pieces(const frame::FrameReader& frame) {
  std::vector<Piece> pieces;
  for (int64_t part = 0; part < frame.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame.NumBatches(part));
    for (int64_t batch = 0; batch < batches; ++batch) {
      ARROW_ASSIGN_OR_RAISE(const auto rows, frame.ReadBatch(part, batch));
      const int64_t step =
          std::clamp<int64_t>(kMostPieceBytes / frame::RowBytes(*rows), 1, kMostPieceRows);
      for (int64_t row = 0; row < rows->num_rows(); row += step) {
        pieces.push_back({part, batch, row, step});
      }
    }
  }
  return pieces;
}

}  // namespace

Status WriteCsv(const frame::FrameReader& frame, bool gzip, int threads,
                arrow::io::OutputStream* sink) {
  const csv::WriteOptions options;
  const auto packed = [gzip](std::string text) -> Result<std::string> {
    if (gzip) return GzipMember(text);
    return text;
  };
  // Also refuses a column that has no CSV text before anything is encoded.
  std::string header;
  ARROW_RETURN_NOT_OK(csv::AppendHeader(*frame.manifest().schema, options, &header));
  ARROW_ASSIGN_OR_RAISE(const auto nothing, arrow::RecordBatch::MakeEmpty(frame.manifest().schema));
  ARROW_RETURN_NOT_OK(csv::AppendRows(*nothing, options, &header));
  ARROW_ASSIGN_OR_RAISE(header, packed(std::move(header)));
  ARROW_RETURN_NOT_OK(sink->Write(header.data(), static_cast<int64_t>(header.size())));

  ARROW_ASSIGN_OR_RAISE(const std::vector<Piece> pieces, Pieces(frame));
  return EncodeInOrder(
      static_cast<int64_t>(pieces.size()), threads,
      [&](int64_t index) -> Result<std::string> {
        const Piece& piece = pieces[static_cast<size_t>(index)];
        ARROW_ASSIGN_OR_RAISE(const auto batch, frame.ReadBatch(piece.part, piece.batch));
        std::string text;
        ARROW_RETURN_NOT_OK(csv::AppendRows(*batch->Slice(piece.row, piece.rows), options, &text));
        return packed(std::move(text));
      },
      [&](const std::string& text) {
        return sink->Write(text.data(), static_cast<int64_t>(text.size()));
      });
}

}  // namespace hayate::output
