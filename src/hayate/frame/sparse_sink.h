#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "hayate/base/file.h"
#include "hayate/base/status.h"

namespace hayate::frame {

/// Addresses without memory behind them: buffers that stand for bytes which are yet to be written
/// to a file. Reading one gives zeros; nothing should write more than a few bytes into it.
class ReservedAddresses {
 public:
  static constexpr int64_t kAlignmentBytes = 64;  ///< of what Take returns

  static Result<std::shared_ptr<ReservedAddresses>> Make(int64_t bytes);
  ~ReservedAddresses();

  /// The next `bytes` of them.
  uint8_t* Take(int64_t bytes);
  bool Contains(const void* address) const;

 private:
  ReservedAddresses() = default;
  uint8_t* base_ = nullptr;
  int64_t size_ = 0;
  int64_t taken_ = 0;
};

/// Lets Arrow's file writer lay out a file without having its data: what it writes from reserved
/// addresses becomes a hole, whose place in the file is remembered, to be filled later by any
/// number of threads; all else is written as it is. One thread until Close.
class SparseSink : public arrow::io::OutputStream {
 public:
  static Result<std::shared_ptr<SparseSink>> Create(
      const std::string& path, std::shared_ptr<const ReservedAddresses> reserved);

  Status Write(const void* data, int64_t nbytes) override;
  Result<int64_t> Tell() const override { return position_; }
  Status Close() override;
  bool closed() const override { return closed_; }

  /// Where in the file the hole of the buffer at `address` begins.
  Result<int64_t> OffsetOf(const void* address) const;
  /// Writes at a place in the file. Any number of threads.
  Status Fill(int64_t offset, const void* data, int64_t nbytes) const;
  Status Commit() { return file_->Commit(); }

 private:
  SparseSink(std::unique_ptr<AtomicFile> file, std::shared_ptr<const ReservedAddresses> reserved);

  std::unique_ptr<AtomicFile> file_;
  std::shared_ptr<const ReservedAddresses> reserved_;
  std::map<const void*, int64_t> holes_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace hayate::frame
