#include "hayate/ingest/csv_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include "hayate/csv/block_reader.h"
#include "hayate/inflate/inflate.h"
#include "hayate/ingest/csv_task.h"

namespace hayate::ingest {
namespace {

constexpr int64_t kMostSampledShards = 8;

class CsvShardReader : public ShardReader {
 public:
  CsvShardReader(std::unique_ptr<csv::BlockReader> reader, std::shared_ptr<CsvTask::Shard> shard)
      : reader_(std::move(reader)), shard_(std::move(shard)) {}

  Result<std::unique_ptr<BlockTask>> Next() override {
    ARROW_ASSIGN_OR_RAISE(auto block, reader_->Next());
    if (block == nullptr) return std::unique_ptr<BlockTask>();
    return std::make_unique<CsvTask>(shard_, std::move(block));
  }

 private:
  std::unique_ptr<csv::BlockReader> reader_;
  std::shared_ptr<CsvTask::Shard> shard_;
};

Result<std::unique_ptr<csv::BlockReader>> OpenText(const source::Object& object,
                                                   const csv::ReadOptions& options,
                                                   std::shared_ptr<csv::BlockPool> pool,
                                                   Meter* meter) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, source::Open(object.uri));
  if (meter != nullptr) {
    bytes = std::make_unique<CountingStream>(std::move(bytes), meter, &Meter::AddBytesRead);
  }
  ARROW_ASSIGN_OR_RAISE(auto text, inflate::MakeTextStream(std::move(bytes)));
  if (meter != nullptr) {
    text = std::make_unique<CountingStream>(std::move(text), meter, &Meter::AddTextBytes);
  }
  return csv::BlockReader::Make(std::move(text), options, std::move(pool));
}

}  // namespace

CsvSource::CsvSource(const std::vector<source::Object>& objects, const csv::ReadOptions& options,
                     Meter* meter)
    : objects_(objects),
      options_(options),
      rules_(options),
      meter_(meter),
      pool_(std::make_shared<csv::BlockPool>()) {}

Result<std::unique_ptr<CsvSource>> CsvSource::Make(const std::vector<source::Object>& objects,
                                                   const csv::ReadOptions& options, Meter* meter) {
  std::unique_ptr<CsvSource> csv_source(new CsvSource(objects, options, meter));
  ARROW_ASSIGN_OR_RAISE(auto first,
                        OpenText(objects[0], options, csv_source->pool_, /*meter=*/nullptr));
  ARROW_ASSIGN_OR_RAISE(csv_source->columns_,
                        ResolveColumns(options, first->column_names(), objects[0].uri));
  csv_source->types_ = std::make_unique<CsvTypes>(csv_source->columns_);
  if (csv_source->types_->any_inferred() && options.sample_bytes > 0) {
    ARROW_RETURN_NOT_OK(csv_source->Sample());
  }
  return csv_source;
}

Status CsvSource::Sample() {
  // From the first to the last, evenly.
  const auto count = static_cast<int64_t>(objects_.size());
  const int64_t sampled = std::min(count, kMostSampledShards);
  std::set<int64_t> shards;
  for (int64_t i = 0; i < sampled; ++i) {
    shards.insert(sampled == 1 ? 0 : i * (count - 1) / (sampled - 1));
  }
  for (const int64_t shard : shards) {
    // What is wrong with a shard is said when it is read: then the first error is said first.
    const Status status = SampleShard(shard);
    if (!status.ok() && FaultOf(status) != Fault::kInput) return status;
  }
  types_->Settle();
  return Status::OK();
}

Status CsvSource::SampleShard(int64_t shard) {
  const source::Object& object = objects_[static_cast<size_t>(shard)];
  csv::ReadOptions options = options_;
  options.block_bytes = options_.sample_bytes;
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenText(object, options, pool_, /*meter=*/nullptr));
  ARROW_ASSIGN_OR_RAISE(const auto fields,
                        MapColumns(columns_, options_.columns.empty(), reader->column_names(),
                                   object.uri, objects_[0].uri));
  ARROW_ASSIGN_OR_RAISE(auto block, reader->Next());
  if (block == nullptr) return Status::OK();
  for (size_t column = 0; column < types_->size(); ++column) {
    if (!types_->is_inferred(column)) continue;
    types_->AddSample(column, csv::ClassifyColumn(*block, shard, fields[column], rules_));
  }
  pool_->Give(std::move(block));
  return Status::OK();
}

Result<std::unique_ptr<ShardReader>> CsvSource::Open(int64_t shard) {
  const source::Object& object = objects_[static_cast<size_t>(shard)];
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenText(object, options_, pool_, meter_));
  auto shared = std::make_shared<CsvTask::Shard>();
  shared->number = shard;
  ARROW_ASSIGN_OR_RAISE(shared->fields,
                        MapColumns(columns_, options_.columns.empty(), reader->column_names(),
                                   object.uri, objects_[0].uri));
  shared->types = types_.get();
  shared->rules = &rules_;
  shared->pool = pool_;
  shared->meter = meter_;
  return std::make_unique<CsvShardReader>(std::move(reader), std::move(shared));
}

}  // namespace hayate::ingest
