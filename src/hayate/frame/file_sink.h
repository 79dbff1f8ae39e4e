#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/base/status.h"

namespace hayate::frame {

/// Arrow's writers onto an AtomicFile: small writes are gathered, large ones go straight to
/// write(2), and the checksum of all bytes is computed on the way. One thread.
class FileSink : public arrow::io::OutputStream {
 public:
  static Result<std::shared_ptr<FileSink>> Create(const std::string& path, bool with_checksum);
  ~FileSink() override;  ///< uncommitted: leaves nothing behind

  /// Asked before bytes go to the system; false ends the writing with Fault::kInterrupted.
  void set_keep_going(std::function<bool()> keep_going) { keep_going_ = std::move(keep_going); }

  Status Write(const void* data, int64_t nbytes) override;
  Result<int64_t> Tell() const override { return position_; }
  /// Hands what was gathered to the system; does not make the file visible.
  Status Close() override;
  bool closed() const override { return closed_; }
  Status Flush() override;

  /// Flushes, renames. Nothing waits for the disk.
  Status Commit();
  /// Flushes, syncs, renames, syncs the directory.
  Status CommitDurably();

  /// Readable too: what was flushed can be mapped before it is committed.
  int fd() const { return file_->fd(); }
  int64_t bytes() const { return position_; }
  /// 32 hexadecimal digits; empty if it was not asked for.
  std::string Checksum() const;

 private:
  FileSink(std::unique_ptr<AtomicFile> file, bool with_checksum);

  Status Append(std::span<const uint8_t> bytes);

  std::unique_ptr<AtomicFile> file_;
  std::function<bool()> keep_going_;
  std::unique_ptr<Hasher> hasher_;
  std::vector<uint8_t> gathered_;
  int64_t position_ = 0;
  bool closed_ = false;
};

/// XXH3-128 of a file's content, as FileSink computes it.
Result<std::string> ChecksumOfFile(const std::string& path);

}  // namespace hayate::frame
