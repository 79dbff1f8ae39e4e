#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// Writes one part of a frame: an Arrow IPC file of record batches, uncompressed, buffers aligned
/// to 64 bytes, written with write(2) so that the pages belong to the page cache and not to us. One
/// thread. The part is visible (renamed, with its sidecar) after Finish, and not at all before.
class PartWriter {
 public:
  /// `dir` is created if needed. An existing part of that number is replaced.
  static Result<std::unique_ptr<PartWriter>> Make(const std::string& dir, int64_t number,
                                                  std::shared_ptr<arrow::Schema> schema);
  ~PartWriter();  ///< without Finish: leaves nothing behind

  /// Appends a batch of the same schema. Slots under nulls are set to NaN (float16/32/64) and to
  /// the int64 minimum (timestamp, duration, date64): pandas maps the buffer as it is
  /// (docs/formats/frame.md). A file has one dictionary a column: batches with
  /// others cost a second pass over the part at Finish, and its indices may become wider.
  Status Write(const arrow::RecordBatch& batch);

  /// Set before Finish, kept in the sidecar.
  void set_groups(std::vector<std::pair<int64_t, int64_t>> groups);
  void set_extra(Json extra);
  void set_resume(Json resume);

  /// Footer, rename, sidecar. Returns what the sidecar holds.
  Result<Part> Finish();

 private:
  class Impl;
  explicit PartWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Records a file that already lies in `dir` (a value written by Python, or a part from elsewhere)
/// by computing its checksum and writing its sidecar. `part.number`, `codec` and `file` say which;
/// an empty `file` means `part-00007.arrow`, or `part-00007.value.<codec>` for a value: any name
/// that begins with `part-00007.` will do but that of the sidecar. Schema and rows of an Arrow file
/// are read from it.
Result<Part> AdoptPart(const std::string& dir, Part part);

/// Part `number` with the rows of an Arrow IPC file that anyone may have written: compressed, or
/// with anything under its nulls. Fault::kInput names a file that is none.
Result<Part> ImportPart(const std::string& dir, int64_t number, const std::string& arrow_file);

/// The parts found in `dir` by their sidecars, by number: what an interrupted stage has already
/// done. One whose file is missing or has another length is skipped. Reads no part.
Result<std::vector<Part>> FinishedParts(const std::string& dir);

/// The same, of parts that were written before the machine last started: the power may have taken
/// pages of them, so they do not count until CheckParts has read them.
Result<std::vector<Part>> UncheckedParts(const std::string& dir);

/// Reads the unchecked parts of `dir`: those with the right checksum count as finished from then
/// on, the others are as if they had never been.
Status CheckParts(const std::string& dir);

/// Removes every part, sidecar, temporary and manifest of `dir`, so that it can be written anew.
Status ClearFrame(const std::string& dir);

struct CommitOptions {
  std::string name;
  std::string key;
  Json key_parts = Json::object();
  std::vector<std::string> warnings;
  Json extra = Json::object();
  int64_t expected_parts = -1;  ///< checked when ≥ 0
  int64_t min_rows = 0;         ///< fewer rows: Fault::kInput
  /// On the disk before there is a manifest; else nothing waits for the disk, and the manifest says
  /// so until MakeDurable.
  bool durable = true;
};

/// Checks the parts (CheckParts) and unifies their schemas (see unify.h), writes the manifest,
/// removes the sidecars. When the parts carry `groups`, the frame is put into the order in which
/// groups first appear (rewritten as part 0…n). A frame of the very same parts that is there with
/// the same key, which is not empty, is the result of a commit whose process died: it is returned.
Result<Manifest> Commit(const std::string& dir, const CommitOptions& options);

/// The frame that a Commit with `key` has made in `dir`, after removing what it left to remove;
/// nullopt if there is none. Also where that Commit's process died.
Result<std::optional<Manifest>> FindCommitted(const std::string& dir, const std::string& key);

/// Syncs the parts of a committed frame and its directory, then lets the manifest say so. Of what
/// was committed before the machine last started it has to be known (Verify) that it is whole.
Status MakeDurable(const std::string& dir);

}  // namespace hayate::frame
