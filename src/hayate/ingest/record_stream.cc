#include "hayate/ingest/record_stream.h"

#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "hayate/ingest/checks.h"
#include "hayate/ingest/csv_source.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/pipeline.h"

namespace hayate::ingest {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Batches on their way from the pipeline to one consumer; the pipeline waits where there is no
// room.
class BatchQueue : public BatchSink {
 public:
  Status Write(int64_t, const Batches& batches) override {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || batches_.size() < kMostWaiting; });
    if (stopped_) return Fail(Fault::kInterrupted, "the stream was closed");
    if (batches.rows != nullptr) batches_.push_back(batches.rows);
    if (batches.put_aside != nullptr) put_aside_.push_back(batches.put_aside);
    changed_.notify_all();
    return Status::OK();
  }

  Status Finish(int64_t) override { return Status::OK(); }

  // The next one, null at the end, or what has ended the pipeline.
  Result<BatchPtr> Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || ended_ || !batches_.empty(); });
    if (stopped_) return Fail(Fault::kUsage, "the stream is closed", {}, "Open it again.");
    if (batches_.empty()) {
      ARROW_RETURN_NOT_OK(outcome_);
      return BatchPtr();
    }
    BatchPtr batch = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    return batch;
  }

  arrow::RecordBatchVector put_aside() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return put_aside_;
  }

  void End(Status outcome) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    outcome_ = std::move(outcome);
    changed_.notify_all();
  }

  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    batches_.clear();
    changed_.notify_all();
  }

  bool stopped() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stopped_;
  }

 private:
  static constexpr size_t kMostWaiting = 4;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchPtr> batches_;
  arrow::RecordBatchVector put_aside_;
  Status outcome_;
  bool ended_ = false;
  bool stopped_ = false;
};

class CsvStream : public RecordStream {
 public:
  CsvStream(std::vector<source::Object> objects, IngestOptions options)
      : objects_(std::move(objects)),
        options_(std::move(options)),
        meter_(options_, /*bytes_total=*/0, static_cast<int64_t>(objects_.size())) {}
  ~CsvStream() override { static_cast<void>(Close()); }

  Status Open() {
    ARROW_RETURN_NOT_OK(CheckInput(objects_, options_));
    ARROW_ASSIGN_OR_RAISE(source_, CsvSource::Make(objects_, options_.csv, &meter_));
    source_->types()->Fix();
    schema_ = source_->types()->schema();
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(BatchPtr* batch) override {
    if (!reader_.joinable() && !queue_.stopped()) {
      try {
        reader_ = std::thread([this] { Run(); });
      } catch (const std::system_error&) {
        return FailErrno(EAGAIN, "cannot start a thread to read ahead");
      }
    }
    return queue_.Take().Value(batch);
  }

  Result<std::shared_ptr<arrow::Table>> PutAside() override {
    return arrow::Table::FromRecordBatches(QuarantineSchema(), queue_.put_aside());
  }

  std::vector<std::string> Warnings() override {
    std::vector<std::string> warnings = source_->rejected()->Warnings(options_.csv.on_error);
    if (!source_->found().empty()) warnings.insert(warnings.begin(), source_->found());
    return warnings;
  }

  Status Close() override {
    queue_.Stop();
    if (reader_.joinable()) reader_.join();
    return Status::OK();
  }

 private:
  void Run() {
    std::vector<int64_t> order(objects_.size());
    std::iota(order.begin(), order.end(), 0);
    const PipelineOptions pipeline = {
        .threads = std::max(1, options_.threads),
        .in_order = true,
        .keep_going = [this] { return !queue_.stopped(); },
        .name_of = [this](int64_t shard) { return objects_[static_cast<size_t>(shard)].uri; }};
    const auto open = [this](int64_t shard) { return source_->Open(shard); };
    Status outcome = RunPipeline(order, open, &queue_, pipeline);
    if (outcome.ok()) outcome = CheckRows(meter_.rows(), objects_, options_);
    queue_.End(std::move(outcome));
  }

  const std::vector<source::Object> objects_;
  const IngestOptions options_;
  Meter meter_;
  BatchQueue queue_;
  std::unique_ptr<CsvSource> source_;
  std::shared_ptr<arrow::Schema> schema_;
  std::thread reader_;
};

}  // namespace

Result<std::shared_ptr<RecordStream>> OpenRecordStream(std::vector<source::Object> objects,
                                                       IngestOptions options) {
  auto stream = std::make_shared<CsvStream>(std::move(objects), std::move(options));
  ARROW_RETURN_NOT_OK(stream->Open());
  return stream;
}

}  // namespace hayate::ingest
