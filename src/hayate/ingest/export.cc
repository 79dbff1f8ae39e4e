#include "hayate/ingest/export.h"

#include <arrow/type.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "hayate/frame/writer.h"
#include "hayate/ingest/csv_source.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/parquet_source.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/ingest/sinks.h"
#include "hayate/ingest/spool.h"

namespace hayate::ingest {
namespace {

using Clock = std::chrono::steady_clock;
using Objects = std::map<int64_t, source::Object>;  // by number

// A shard that fails although it has not changed is read once more: the bytes may have been damaged
// on their way.
constexpr int kMostAttempts = 2;
// A listing of 20,000 objects takes a while; it is not to be what the network is busy with.
constexpr int kListingShare = 10;

bool IsSame(const source::Object& a, const source::Object& b) {
  return a.generation == b.generation && a.size_bytes == b.size_bytes;
}

// The last run of exactly twelve digits in the object's name.
std::optional<int64_t> NumberOf(const std::string& uri) {
  constexpr size_t kDigits = 12;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string_view name = std::string_view(uri).substr(uri.rfind('/') + 1);
  size_t end = name.size();
  while (end > 0) {
    while (end > 0 && !is_digit(name[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && is_digit(name[begin - 1])) --begin;
    if (end - begin == kDigits) {
      int64_t number = 0;
      std::from_chars(name.data() + begin, name.data() + end, number);
      return number;
    }
    end = begin;
  }
  return std::nullopt;
}

Result<Objects> ByNumber(const std::vector<source::Object>& listed) {
  Objects objects;
  for (const source::Object& object : listed) {
    const auto number = NumberOf(object.uri);
    if (!number || !objects.emplace(*number, object).second) {
      return Fail(Fault::kInput,
                  number ? "two objects of the export have the same number"
                         : "there is an object that is no part of the export",
                  {.object = object.uri},
                  "Give the export a prefix under which nothing else is written.");
    }
  }
  return objects;
}

Status Changed(const std::string& what, const std::string& uri) {
  return Fail(Fault::kInput, what, {.object = uri},
              "Look for what else writes to or deletes from the bucket, then run again.");
}

// Polls and lists on a thread of its own, and tells the export what will be opened.
class Watcher {
 public:
  /// `go_on` is asked after each look at the export; false ends what waits for it, too.
  Watcher(Export* source, std::chrono::milliseconds between_polls, std::function<bool()> go_on)
      : source_(source), between_polls_(between_polls), go_on_(std::move(go_on)) {}

  ~Watcher() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  Status Start() {
    try {
      thread_ = std::thread([this] { Watch(); });
    } catch (const std::system_error& error) {
      return FailErrno(error.code().value(), "cannot start a thread");
    }
    return Status::OK();
  }

  struct Seen {
    Objects objects;
    ExportState state;
  };

  /// Waits until there is something else than what was seen at the last call, or the export is
  /// done.
  Result<Seen> Wait(int64_t* version) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !status_.ok() || version_ != *version || seen_.state.done; });
    ARROW_RETURN_NOT_OK(status_);
    *version = version_;
    return seen_;
  }

  /// Lists now, in the caller's thread. A change after the export was done is Fault::kInput.
  Result<Objects> Look() {
    ARROW_RETURN_NOT_OK(List({}));
    const std::lock_guard<std::mutex> lock(mutex_);
    return seen_.objects;
  }

  /// Why the watch has ended early.
  Status status() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }

 private:
  void Watch() {
    while (true) {
      const auto begin = Clock::now();
      Status status = Step();
      if (status.ok() && !go_on_()) {
        status = Fail(Fault::kInterrupted, "reading the export was interrupted");
      }
      const auto took = Clock::now() - begin;
      std::unique_lock<std::mutex> lock(mutex_);
      if (!status.ok()) {
        status_ = status;
        changed_.notify_all();
        source_->Stop();  // what is being read is of no use any more
      }
      if (stopped_ || !status.ok() || seen_.state.done) return;
      changed_.wait_for(lock, std::max<Clock::duration>(between_polls_, kListingShare * took),
                        [this] { return stopped_; });
      if (stopped_) return;
    }
  }

  // What is listed after the export has said that it is done is all that there is.
  Status Step() {
    ARROW_ASSIGN_OR_RAISE(const ExportState state, source_->Poll());
    return List(state);
  }

  // `state`: what the export has said just before, if it was asked. It is seen together with the
  // listing: whoever opens an object of a listing that is the last one must know that.
  Status List(const std::optional<ExportState>& state) {
    const std::lock_guard<std::mutex> one_at_a_time(listing_);
    ARROW_ASSIGN_OR_RAISE(const auto listed, source_->List());
    ARROW_ASSIGN_OR_RAISE(Objects now, ByNumber(listed));
    std::vector<source::Object> plan;
    std::vector<source::Object> forget;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const auto& [number, object] : seen_.objects) {
        const auto found = now.find(number);
        if (found == now.end() || !IsSame(found->second, object)) forget.push_back(object);
      }
      for (const auto& [number, object] : now) {
        const auto found = seen_.objects.find(number);
        if (found == seen_.objects.end() || !IsSame(found->second, object)) plan.push_back(object);
      }
      if (seen_.state.done) {
        for (const auto* const changed : {&forget, &plan}) {
          if (changed->empty()) continue;
          return Changed("the object has changed after the export was done", changed->front().uri);
        }
      }
    }
    // Before anyone is told, or they could be opened before they are planned.
    for (const source::Object& object : forget) source_->Forget(object);
    for (const source::Object& object : plan) source_->Plan(object);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (state) seen_.state = *state;
    if (!plan.empty() || !forget.empty()) {
      seen_.objects = std::move(now);
      ++version_;
    }
    changed_.notify_all();
    return Status::OK();
  }

  Export* const source_;
  const std::chrono::milliseconds between_polls_;
  const std::function<bool()> go_on_;
  std::thread thread_;
  std::mutex listing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Seen seen_;
  int64_t version_ = 0;
  Status status_;
  bool stopped_ = false;
};

// The shards of a round are numbered as they lie in it; their parts have the numbers of the export.
class RoundSink : public BatchSink {
 public:
  RoundSink(PartsSink* parts, const std::vector<int64_t>& numbers, Meter* meter)
      : parts_(parts), numbers_(numbers), meter_(meter) {}

  Status Write(int64_t shard, const Batches& batches) override {
    return parts_->Write(numbers_[static_cast<size_t>(shard)], batches);
  }

  Status Finish(int64_t shard) override {
    ARROW_RETURN_NOT_OK(parts_->Finish(numbers_[static_cast<size_t>(shard)]));
    meter_->AddShard();
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_.insert(shard);
    return Status::OK();
  }

  const std::set<int64_t>& finished() const { return finished_; }

 private:
  PartsSink* const parts_;
  const std::vector<int64_t>& numbers_;
  Meter* const meter_;
  std::mutex mutex_;
  std::set<int64_t> finished_;
};

class ExportIngest {
 public:
  ExportIngest(Export* source, const ExportOptions& options, const std::string& dir)
      : source_(source),
        options_(options),
        dir_(dir),
        meter_({.progress = options.progress}, 0, 0),
        parts_(
            dir, [](int64_t) { return Json(); }, /*puts_aside=*/false),
        watcher_(source, options.between_polls, [this] { return meter_.KeepGoing(); }) {}

  // Before the watcher, which may wait for the network, is waited for.
  ~ExportIngest() { source_->Stop(); }

  Result<ExportResult> Run() {
    std::error_code error;
    std::filesystem::create_directories(dir_, error);
    if (error) return FailErrno(error.value(), "cannot make the folder", {.object = dir_});
    ARROW_RETURN_NOT_OK(frame::ClearFrame(dir_));
    ARROW_RETURN_NOT_OK(parts_.Begin(options_.schema));
    ARROW_RETURN_NOT_OK(watcher_.Start());
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const Watcher::Seen seen, watcher_.Wait(&version_));
      const Objects wanted = Wanted(seen.objects);
      if (!wanted.empty()) {
        ARROW_RETURN_NOT_OK(ReadRound(seen, wanted));
      } else if (seen.state.done) {
        return Verified(seen);
      }
    }
  }

 private:
  // Those that have not been read as they are now.
  Objects Wanted(const Objects& objects) const {
    Objects wanted;
    for (const auto& [number, object] : objects) {
      const auto found = read_.find(number);
      if (found == read_.end() || !IsSame(found->second, object)) wanted.emplace(number, object);
    }
    return wanted;
  }

  Status ReadRound(const Watcher::Seen& seen, const Objects& wanted) {
    int64_t bytes = 0;
    for (const auto& [number, object] : seen.objects) bytes += object.size_bytes;
    meter_.SetTotals(bytes, static_cast<int64_t>(seen.objects.size()));

    std::vector<source::Object> objects;
    std::vector<int64_t> numbers;
    std::vector<int64_t> order;
    for (const auto& [number, object] : wanted) {
      order.push_back(static_cast<int64_t>(objects.size()));
      objects.push_back(object);
      numbers.push_back(number);
      if (read_.contains(number)) ++read_again_;
    }
    ARROW_RETURN_NOT_OK(parts_.Begin(options_.schema));  // forgets what a round left unfinished
    RoundSink sink(&parts_, numbers, &meter_);
    const auto begin = Clock::now();
    const Status status = RunShards(objects, order, &sink);
    reading_ += Clock::now() - begin;
    for (const int64_t shard : sink.finished()) {
      read_.insert_or_assign(numbers[static_cast<size_t>(shard)],
                             objects[static_cast<size_t>(shard)]);
    }
    if (status.ok()) return status;
    ARROW_RETURN_NOT_OK(watcher_.status());
    return Judge(status, wanted);
  }

  Status RunShards(const std::vector<source::Object>& objects, const std::vector<int64_t>& order,
                   BatchSink* sink) {
    const PipelineOptions pipeline = {
        .threads = std::max(1, options_.threads),
        .keep_going = [this] { return meter_.KeepGoing(); },
        .name_of = [&](int64_t shard) { return objects[static_cast<size_t>(shard)].uri; }};
    csv::ReadOptions csv;
    csv.empty_mark = options_.empty_mark;
    if (options_.parquet) {
      const auto open_file = [this](const source::Object& object)
          -> Result<std::shared_ptr<arrow::io::RandomAccessFile>> {
        ARROW_ASSIGN_OR_RAISE(const auto stream, source_->Open(object));
        return Spool(stream.get(), {.size_bytes = object.size_bytes}, dir_);
      };
      ARROW_ASSIGN_OR_RAISE(
          const auto parquet,
          ParquetSource::Make(objects, csv, pipeline.threads, options_.schema, open_file, &meter_));
      return RunPipeline(
          order, [&](int64_t shard) { return parquet->Open(shard); }, sink, pipeline);
    }
    std::vector<CsvColumn> columns;
    for (const auto& field : options_.schema->fields()) {
      columns.push_back({field->name(), field->type()});
    }
    const auto opener = [this](const source::Object& object) { return source_->Open(object); };
    const auto text = CsvSource::Make(objects, csv, std::move(columns), opener, &meter_);
    return RunPipeline(order, [&](int64_t shard) { return text->Open(shard); }, sink, pipeline);
  }

  // A shard that failed because it has been replaced meanwhile, or that may have been damaged on
  // its way, is read again with the next round.
  Status Judge(const Status& status, const Objects& wanted) {
    const FaultDetail* const detail = FaultDetail::Get(status);
    if (FaultOf(status) != Fault::kInput || detail == nullptr) return status;
    const auto failed = std::find_if(wanted.begin(), wanted.end(), [&](const auto& one) {
      return one.second.uri == detail->where().object;
    });
    if (failed == wanted.end()) return status;
    ARROW_ASSIGN_OR_RAISE(const Objects now, watcher_.Look());
    const auto found = now.find(failed->first);
    const bool changed = found == now.end() || !IsSame(found->second, failed->second);
    if (!changed && ++attempts_[failed->first] >= kMostAttempts) return status;
    version_ = -1;  // there is something to read, whether or not the listing has changed
    return Status::OK();
  }

  Result<ExportResult> Verified(const Watcher::Seen& seen) {
    // Once more, now that everything has been read: what was listed last was read as it was then.
    ARROW_ASSIGN_OR_RAISE(const Objects now, watcher_.Look());
    for (const auto& [number, object] : read_) {
      if (!now.contains(number)) {
        return Changed("the object was deleted while the export was read", object.uri);
      }
    }
    ExportResult result = {.files = static_cast<int64_t>(read_.size()), .read_again = read_again_};
    const std::string name = read_.empty() ? "" : read_.begin()->second.uri;
    int64_t next = 0;
    for (const auto& [number, object] : read_) {
      if (number != next++) {
        return Changed("the export lacks an object before this one", object.uri);
      }
      result.bytes += object.size_bytes;
    }
    if (result.files != seen.state.files) {
      return Changed("the export says that it has written " + std::to_string(seen.state.files) +
                         " objects, and there are " + std::to_string(result.files),
                     name);
    }
    if (read_.empty()) ARROW_RETURN_NOT_OK(parts_.Finish(0));
    ARROW_ASSIGN_OR_RAISE(const auto parts, frame::FinishedParts(dir_));
    for (const frame::Part& part : parts) result.rows += part.rows;
    const auto expected_parts = std::max<int64_t>(1, result.files);
    if (static_cast<int64_t>(parts.size()) != expected_parts || result.rows != seen.state.rows) {
      return Changed("the export says that it has written " + std::to_string(seen.state.rows) +
                         " rows, and " + std::to_string(result.rows) + " were read",
                     name);
    }
    result.reading = reading_;
    meter_.Finish();
    return result;
  }

  Export* const source_;
  const ExportOptions& options_;
  const std::string& dir_;
  Meter meter_;
  PartsSink parts_;
  Objects read_;
  std::map<int64_t, int> attempts_;
  int64_t read_again_ = 0;
  Clock::duration reading_{0};
  int64_t version_ = 0;  // of what the watcher has seen
  Watcher watcher_;      // the first to go
};

}  // namespace

Result<ExportResult> IngestExport(Export* source, const ExportOptions& options,
                                  const std::string& dir) {
  return ExportIngest(source, options, dir).Run();
}

}  // namespace hayate::ingest
