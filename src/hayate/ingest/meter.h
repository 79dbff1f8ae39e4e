#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "hayate/base/byte_stream.h"
#include "hayate/ingest/ingest.h"

namespace hayate::ingest {

/// Counts what passes, and tells the caller at most some times a second. Any thread.
class Meter {
 public:
  Meter(const IngestOptions& options, int64_t bytes_total, int64_t shards_total)
      : progress_(options.progress), bytes_total_(bytes_total), shards_total_(shards_total) {}

  void AddRows(int64_t n) { rows_ += n; }
  void AddBytesRead(int64_t n) { bytes_read_ += n; }
  void AddTextBytes(int64_t n) { text_bytes_ += n; }
  void AddShard() { ++shards_done_; }
  /// Of a source that grows while it is read.
  void SetTotals(int64_t bytes, int64_t shards) {
    bytes_total_ = bytes;
    shards_total_ = shards;
  }
  int64_t rows() const { return rows_; }

  /// Before the shards are read once more.
  void Restart() { rows_ = bytes_read_ = text_bytes_ = shards_done_ = 0; }

  /// False if the caller wants to stop.
  bool KeepGoing() {
    constexpr std::chrono::milliseconds kInterval(250);
    if (!progress_) return true;
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kInterval) return true;
    last_ = now;
    return Tell();
  }

  /// The last word, whatever the time. False as above.
  bool Finish() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return !progress_ || Tell();
  }

 private:
  bool Tell() const {
    return progress_({.rows = rows_,
                      .bytes_read = bytes_read_,
                      .bytes_total = bytes_total_,
                      .text_bytes = text_bytes_,
                      .shards_done = shards_done_,
                      .shards_total = shards_total_});
  }

  const std::function<bool(const IngestProgress&)> progress_;
  std::atomic<int64_t> bytes_total_;
  std::atomic<int64_t> shards_total_;
  std::atomic<int64_t> rows_ = 0;
  std::atomic<int64_t> bytes_read_ = 0;
  std::atomic<int64_t> text_bytes_ = 0;
  std::atomic<int64_t> shards_done_ = 0;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_;
};

/// A stream that tells a meter how much passes.
class CountingStream : public ByteStream {
 public:
  using Count = void (Meter::*)(int64_t);
  CountingStream(std::unique_ptr<ByteStream> inner, Meter* meter, Count count)
      : inner_(std::move(inner)), meter_(meter), count_(count) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, inner_->Read(out));
    (meter_->*count_)(n);
    return n;
  }

  const std::string& name() const override { return inner_->name(); }

 private:
  std::unique_ptr<ByteStream> inner_;
  Meter* const meter_;
  const Count count_;
};

}  // namespace hayate::ingest
