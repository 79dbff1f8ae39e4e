#include "hayate/ingest/ingest.h"

#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <utility>

#include "hayate/frame/writer.h"
#include "hayate/ingest/checks.h"
#include "hayate/ingest/csv_source.h"
#include "hayate/ingest/kept_parts.h"
#include "hayate/ingest/meter.h"
#include "hayate/ingest/parquet_source.h"
#include "hayate/ingest/pipeline.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/ingest/sinks.h"

namespace hayate::ingest {
namespace {

using Objects = std::vector<source::Object>;

// Shards that need not be read in a pass, and how many rows they hold.
struct Kept {
  std::set<int64_t> shards;
  int64_t rows = 0;
};

// What differs between a frame and a table as the destination.
struct Destination {
  PassSink* sink = nullptr;
  /// Asked before each pass; null: nothing is kept.
  std::function<Result<Kept>(const Json& states, CsvTypes* types, Rejected* rejected)> kept;
};

// Lets nothing through that was converted by types that have turned out too narrow.
class TypedSink : public BatchSink {
 public:
  TypedSink(PassSink* sink, const CsvTypes* types, Meter* meter)
      : sink_(sink), types_(types), meter_(meter) {}

  Status Write(int64_t shard, const Batches& batches) override {
    return IsOpen() ? sink_->Write(shard, batches) : Status::OK();
  }

  Status Finish(int64_t shard) override {
    meter_->AddShard();
    return IsOpen() ? sink_->Finish(shard) : Status::OK();
  }

 private:
  bool IsOpen() const { return types_ == nullptr || !types_->any_loose(); }

  PassSink* const sink_;
  const CsvTypes* const types_;
  Meter* const meter_;
};

int64_t TotalBytes(const Objects& objects) {
  return std::accumulate(objects.begin(), objects.end(), int64_t{0},
                         [](int64_t sum, const auto& object) { return sum + object.size_bytes; });
}

// Largest first, so that no core is left with the largest one at the end.
std::vector<int64_t> OrderOf(const Objects& objects, const std::set<int64_t>& without) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < static_cast<int64_t>(objects.size()); ++i) {
    if (!without.contains(i)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return objects[static_cast<size_t>(a)].size_bytes > objects[static_cast<size_t>(b)].size_bytes;
  });
  return order;
}

class Ingest {
 public:
  Ingest(const Objects& objects, const IngestOptions& options, Destination destination)
      : objects_(objects),
        options_(options),
        destination_(std::move(destination)),
        meter_(options, TotalBytes(objects), static_cast<int64_t>(objects.size())) {}

  Result<IngestResult> Run() {
    ARROW_ASSIGN_OR_RAISE(const bool parquet, AreParquet(objects_, options_.format));
    IngestResult result;
    if (parquet) {
      ARROW_RETURN_NOT_OK(RunParquet(&result));
    } else {
      ARROW_RETURN_NOT_OK(RunCsv(&result));
    }
    ARROW_RETURN_NOT_OK(CheckRows(result.rows, objects_, options_));
    meter_.Finish();
    return result;
  }

 private:
  Status RunParquet(IngestResult* result) {
    ARROW_ASSIGN_OR_RAISE(const auto source,
                          ParquetSource::Make(objects_, options_.csv, options_.threads, &meter_));
    result->schema = source->schema();
    const auto open = [&](int64_t shard) { return source->Open(shard); };
    return Pass(source->schema(), source->schema()->ToString(), nullptr, nullptr, open,
                &result->rows);
  }

  Status RunCsv(IngestResult* result) {
    ARROW_ASSIGN_OR_RAISE(const auto source, CsvSource::Make(objects_, options_.csv, &meter_));
    CsvTypes* const types = source->types();
    const auto open = [&](int64_t shard) { return source->Open(shard); };
    // Each further pass has seen a class of values that no pass before had: there are not many.
    while (true) {
      ARROW_RETURN_NOT_OK(
          Pass(types->schema(), types->states(), types, source->rejected(), open, &result->rows));
      if (!types->any_loose()) break;
      if (!types->Settle()) {
        return Fail(Fault::kInternal, "a value does not fit a type that its column was given",
                    {.object = objects_[0].uri});
      }
    }
    result->schema = types->schema();
    if (!source->found().empty()) result->warnings.push_back(source->found());
    for (auto& warnings :
         {types->Warnings(), source->rejected()->Warnings(options_.csv.on_error)}) {
      result->warnings.insert(result->warnings.end(), warnings.begin(), warnings.end());
    }
    return Status::OK();
  }

  Status Pass(const std::shared_ptr<arrow::Schema>& schema, const Json& states, CsvTypes* types,
              Rejected* rejected, const OpenShard& open, int64_t* rows) {
    meter_.Restart();
    if (rejected != nullptr) rejected->Clear();
    Kept kept;
    if (destination_.kept) {
      ARROW_ASSIGN_OR_RAISE(kept, destination_.kept(states, types, rejected));
    }
    for (const int64_t shard : kept.shards) {
      meter_.AddBytesRead(objects_[static_cast<size_t>(shard)].size_bytes);
      meter_.AddShard();
    }
    meter_.AddRows(kept.rows);
    ARROW_RETURN_NOT_OK(destination_.sink->Begin(schema));
    TypedSink sink(destination_.sink, types, &meter_);
    const PipelineOptions pipeline = {
        .threads = std::max(1, options_.threads),
        .keep_going = [this] { return meter_.KeepGoing(); },
        .name_of = [this](int64_t shard) { return objects_[static_cast<size_t>(shard)].uri; }};
    ARROW_RETURN_NOT_OK(RunPipeline(OrderOf(objects_, kept.shards), open, &sink, pipeline));
    *rows = meter_.rows();
    return Status::OK();
  }

  const Objects& objects_;
  const IngestOptions& options_;
  const Destination destination_;
  Meter meter_;
};

}  // namespace

Result<IngestResult> IngestToParts(const Objects& objects, const IngestOptions& options,
                                   const std::string& dir) {
  ARROW_RETURN_NOT_OK(CheckInput(objects, options));
  ARROW_RETURN_NOT_OK(frame::CheckParts(dir));
  const bool puts_aside = options.csv.on_error == csv::OnError::kQuarantine;
  // Set before each pass, read by the threads of that pass.
  PassState pass{.options = OptionsDigest(options.csv)};
  PartsSink sink(dir, [&](int64_t shard) { return PartResume(objects, shard, pass); }, puts_aside);
  const auto kept = [&](const Json& states, CsvTypes* types, Rejected* rejected) -> Result<Kept> {
    pass.states = states;
    pass.types = types;
    pass.rejected = rejected;
    PutAside put_aside;
    if (puts_aside) {
      ARROW_ASSIGN_OR_RAISE(put_aside, FindPutAside(dir));
    }
    const auto may_keep = [&](int64_t shard) {
      return !puts_aside || put_aside.shards.contains(shard);
    };
    ARROW_ASSIGN_OR_RAISE(auto parts, FindKeptParts(dir, objects, pass, may_keep));
    if (put_aside.committed && parts.size() != objects.size()) {
      ARROW_RETURN_NOT_OK(ClearPutAside(dir));
      parts.clear();
      rejected->Clear();
    }
    Kept found;
    for (const KeptPart& part : parts) {
      found.shards.insert(part.shard);
      found.rows += part.rows;
    }
    return found;
  };
  return Ingest(objects, options, {.sink = &sink, .kept = kept}).Run();
}

Result<IngestedTable> IngestToTable(const Objects& objects, const IngestOptions& options) {
  ARROW_RETURN_NOT_OK(CheckInput(objects, options));
  TableSink sink;
  IngestedTable table;
  ARROW_ASSIGN_OR_RAISE(IngestResult result, Ingest(objects, options, {.sink = &sink}).Run());
  table.warnings = std::move(result.warnings);
  ARROW_ASSIGN_OR_RAISE(table.rows, sink.ToTable());
  if (options.csv.on_error == csv::OnError::kQuarantine) {
    ARROW_ASSIGN_OR_RAISE(table.put_aside, sink.PutAside());
  }
  return table;
}

}  // namespace hayate::ingest
