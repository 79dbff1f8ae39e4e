#pragma once

#include <arrow/type_fwd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"
#include "hayate/ingest/ingest.h"
#include "hayate/source/source.h"

namespace hayate::ingest {

/// What an export says of itself.
struct ExportState {
  bool done = false;
  int64_t files = 0;  ///< once it is done: how many objects it has written
  int64_t rows = 0;   ///< once it is done: in all of them
};

/// Objects that something else writes while they are read: shards with numbers of twelve digits in
/// their names. All calls may come from any thread, and may wait for the network.
class Export {
 public:
  virtual ~Export() = default;

  /// How far it is; a Status if it has failed. Not asked any more once it is done.
  virtual Result<ExportState> Poll() = 0;
  /// All objects that there are now, and nothing but this export's.
  virtual Result<std::vector<source::Object>> List() = 0;
  /// The object will be opened, after those of which this was said before.
  virtual void Plan(const source::Object& object) = 0;
  /// It will not be opened after all: it has been replaced.
  virtual void Forget(const source::Object& object) = 0;
  virtual Result<std::unique_ptr<ByteStream>> Open(const source::Object& object) = 0;
  /// Makes calls that wait end soon, those to come, too.
  virtual void Stop() = 0;
};

struct ExportOptions {
  bool parquet = false;  ///< else CSV, with a header
  /// The columns, all of them, as the query's own schema says; never taken from the text.
  std::shared_ptr<arrow::Schema> schema;
  char empty_mark = '\0';  ///< of CSV, see csv::ReadOptions
  int threads = 1;
  /// From the end of a poll and listing to the next; longer where a listing takes long itself.
  std::chrono::milliseconds between_polls{1000};
  /// As in IngestOptions; the totals are of what is listed so far.
  std::function<bool(const IngestProgress&)> progress;
};

struct ExportResult {
  int64_t files = 0;
  int64_t rows = 0;
  int64_t bytes = 0;       ///< of the objects
  int64_t read_again = 0;  ///< shards that were read more than once, as they had changed
  /// While there was something to read, on `threads` threads.
  std::chrono::nanoseconds reading{0};
};

/// Reads an export while it is written: each object becomes the part of its number of a frame in
/// `dir` (which is emptied first, and not committed here), rows as in the object. An object that is
/// replaced meanwhile is read again. At the end the objects that were read are the objects that are
/// listed, in the same generations, they are numbered without a gap and as many as the export says,
/// and so are the rows; anything else is Fault::kInput. Without an object: one part without rows.
Result<ExportResult> IngestExport(Export* source, const ExportOptions& options,
                                  const std::string& dir);

}  // namespace hayate::ingest
