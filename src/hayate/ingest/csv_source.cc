#include "hayate/ingest/csv_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include "hayate/csv/cell.h"
#include "hayate/csv/classify.h"
#include "hayate/inflate/inflate.h"
#include "hayate/ingest/csv_task.h"

namespace hayate::ingest {
namespace {

constexpr int64_t kMostSampledShards = 8;
constexpr int64_t kHeadRows = 1000;
constexpr int64_t kHeadBlockBytes = 128 * 1024;

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
  if (csv_source->types_->any_inferred()) {
    // What is wrong with a shard is said when it is read: then the first error is said first.
    for (const Status& status : {csv_source->FindTextColumns(), csv_source->Sample()}) {
      if (!status.ok() && FaultOf(status) != Fault::kInput) return status;
    }
  }
  return csv_source;
}

Result<std::unique_ptr<csv::BlockReader>> CsvSource::OpenSample(int64_t shard, int64_t block_bytes,
                                                                std::vector<int>* fields) {
  const source::Object& object = objects_[static_cast<size_t>(shard)];
  csv::ReadOptions options = options_;
  options.block_bytes = block_bytes;
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenText(object, options, pool_, /*meter=*/nullptr));
  ARROW_ASSIGN_OR_RAISE(*fields, MapColumns(columns_, options_.columns.empty(),
                                            reader->column_names(), object.uri, objects_[0].uri));
  return reader;
}

// Those whose first rows hold more text than other values. By rows, and not by the sample, because
// what a person is told must not depend on its size.
Status CsvSource::FindTextColumns() {
  std::vector<int> fields;
  ARROW_ASSIGN_OR_RAISE(const auto reader, OpenSample(0, kHeadBlockBytes, &fields));
  std::vector<int64_t> balance(types_->size(), 0);
  std::string scratch;
  ARROW_ASSIGN_OR_RAISE(auto block, reader->Next());
  while (block != nullptr && block->first_row < kHeadRows) {
    const int64_t rows = std::min(block->rows, kHeadRows - block->first_row);
    for (size_t column = 0; column < types_->size(); ++column) {
      if (!types_->is_inferred(column)) continue;
      for (int64_t row = 0; row < rows; ++row) {
        const csv::Cell cell = csv::CellOf(block->RawField(row, fields[column]),
                                           static_cast<char>(block->quote), &scratch);
        if (rules_.nulls.IsNull(cell)) continue;
        const csv::CellClass cell_class = csv::Classify(cell.text, rules_);
        balance[column] +=
            cell_class == csv::CellClass::kText || cell_class == csv::CellClass::kCode ? 1 : -1;
      }
    }
    pool_->Give(std::move(block));
    ARROW_ASSIGN_OR_RAISE(block, reader->Next());
  }
  for (size_t column = 0; column < types_->size(); ++column) {
    if (balance[column] > 0) types_->SetText(column);
  }
  return Status::OK();
}

Status CsvSource::Sample() {
  if (options_.sample_bytes == 0) return Status::OK();
  // From the first to the last, evenly.
  const auto count = static_cast<int64_t>(objects_.size());
  const int64_t sampled = std::min(count, kMostSampledShards);
  std::set<int64_t> shards;
  for (int64_t i = 0; i < sampled; ++i) {
    shards.insert(sampled == 1 ? 0 : i * (count - 1) / (sampled - 1));
  }
  for (const int64_t shard : shards) {
    const Status status = SampleShard(shard);
    if (!status.ok() && FaultOf(status) != Fault::kInput) return status;
  }
  types_->Begin();
  return Status::OK();
}

Status CsvSource::SampleShard(int64_t shard) {
  std::vector<int> fields;
  ARROW_ASSIGN_OR_RAISE(const auto reader, OpenSample(shard, options_.sample_bytes, &fields));
  ARROW_ASSIGN_OR_RAISE(auto block, reader->Next());
  if (block == nullptr) return Status::OK();
  for (size_t column = 0; column < types_->size(); ++column) {
    if (!types_->is_inferred(column)) continue;
    types_->Note(column, csv::ClassifyColumn(*block, shard, fields[column], rules_));
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
