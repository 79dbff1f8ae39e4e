#include "hayate/ingest/csv_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include "hayate/csv/cell.h"
#include "hayate/csv/classify.h"
#include "hayate/csv/decode.h"
#include "hayate/csv/detect.h"
#include "hayate/inflate/inflate.h"
#include "hayate/ingest/csv_task.h"

namespace hayate::ingest {
namespace {

constexpr int64_t kMostSampledShards = 8;
constexpr int64_t kHeadRows = 1000;
constexpr int64_t kHeadBlockBytes = 128 * 1024;
constexpr size_t kDetectBytes = 128 * 1024;

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

Result<std::unique_ptr<ByteStream>> OpenLocal(const source::Object& object) {
  return source::Open(object.uri);
}

Result<std::unique_ptr<ByteStream>> OpenText(const source::Object& object,
                                             const source::Opener& opener,
                                             const csv::ReadOptions& options, Meter* meter) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, opener(object));
  if (meter != nullptr) {
    bytes = std::make_unique<CountingStream>(std::move(bytes), meter, &Meter::AddBytesRead);
  }
  ARROW_ASSIGN_OR_RAISE(auto text, inflate::MakeTextStream(std::move(bytes)));
  if (meter != nullptr) {
    text = std::make_unique<CountingStream>(std::move(text), meter, &Meter::AddTextBytes);
  }
  const auto errors =
      options.replace_undecodable ? csv::EncodingErrors::kReplace : csv::EncodingErrors::kStrict;
  return csv::MakeDecodedStream(std::move(text), options.encoding, errors);
}

// What the start of an object tells of its dialect.
Result<csv::Detected> DetectIn(const source::Object& object, const csv::ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const auto text, OpenText(object, OpenLocal, options, /*meter=*/nullptr));
  std::string start(kDetectBytes, '\0');
  size_t size = 0;
  bool whole = false;
  while (size < start.size() && !whole) {
    ARROW_ASSIGN_OR_RAISE(
        const int64_t n,
        text->Read({reinterpret_cast<uint8_t*>(start.data()) + size, start.size() - size}));
    size += static_cast<size_t>(n);
    whole = n == 0;
  }
  std::string_view seen(start.data(), size);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (seen.starts_with(kByteOrderMark)) seen.remove_prefix(kByteOrderMark.size());
  return csv::DetectDialect(seen, whole);
}

// Into options that say nothing of it themselves.
Status Apply(const csv::Detected& detected, csv::ReadOptions* options) {
  const csv::Dialect& dialect = detected.dialect;
  options->delimiter = static_cast<char>(dialect.delimiter);
  options->quote_char = dialect.has_quote ? static_cast<char>(dialect.quote) : '\0';
  options->escape_char = dialect.has_escape ? static_cast<char>(dialect.escape) : '\0';
  options->skip_initial_space = dialect.skip_initial_space;
  options->comment_prefix = dialect.comment_prefix;
  options->skip_rows = detected.skip_rows;
  options->header = detected.header;
  return options->Validate();
}

}  // namespace

CsvSource::CsvSource(const std::vector<source::Object>& objects, const csv::ReadOptions& options,
                     std::string found, source::Opener opener, Meter* meter)
    : objects_(objects),
      options_(options),
      found_(std::move(found)),
      rules_(options),
      opener_(std::move(opener)),
      meter_(meter),
      pool_(std::make_shared<csv::BlockPool>()),
      slabs_(std::make_shared<csv::SlabPool>()) {}

Result<std::unique_ptr<CsvSource>> CsvSource::Make(const std::vector<source::Object>& objects,
                                                   const csv::ReadOptions& options, Meter* meter) {
  csv::ReadOptions known = options;
  std::string found;
  if (options.detect) {
    ARROW_ASSIGN_OR_RAISE(const csv::Detected detected, DetectIn(objects[0], options));
    ARROW_RETURN_NOT_OK(Apply(detected, &known));
    found = objects[0].uri + " is read with " + csv::Describe(detected);
  }
  std::unique_ptr<CsvSource> csv_source(
      new CsvSource(objects, known, std::move(found), OpenLocal, meter));
  ARROW_ASSIGN_OR_RAISE(auto first, csv_source->OpenBlocks(objects[0], known, /*meter=*/nullptr));
  ARROW_ASSIGN_OR_RAISE(csv_source->columns_,
                        ResolveColumns(known, first->column_names(), objects[0].uri));
  csv_source->types_ = std::make_unique<CsvTypes>(csv_source->columns_);
  if (csv_source->types_->any_inferred()) {
    // What is wrong with a shard is said when it is read: then the first error is said first.
    for (const Status& status : {csv_source->FindTextColumns(), csv_source->Sample()}) {
      if (!status.ok() && FaultOf(status) != Fault::kInput) return status;
    }
  }
  return csv_source;
}

std::unique_ptr<CsvSource> CsvSource::Make(const std::vector<source::Object>& objects,
                                           const csv::ReadOptions& options,
                                           std::vector<CsvColumn> columns, source::Opener opener,
                                           Meter* meter) {
  std::unique_ptr<CsvSource> csv_source(
      new CsvSource(objects, options, /*found=*/"", std::move(opener), meter));
  csv_source->columns_ = std::move(columns);
  csv_source->types_ = std::make_unique<CsvTypes>(csv_source->columns_);
  return csv_source;
}

Result<std::unique_ptr<csv::BlockReader>> CsvSource::OpenBlocks(const source::Object& object,
                                                                const csv::ReadOptions& options,
                                                                Meter* meter) const {
  ARROW_ASSIGN_OR_RAISE(auto text, OpenText(object, opener_, options, meter));
  return csv::BlockReader::Make(std::move(text), options, pool_);
}

Result<std::unique_ptr<csv::BlockReader>> CsvSource::OpenSample(int64_t shard, int64_t block_bytes,
                                                                std::vector<int>* fields) {
  const source::Object& object = objects_[static_cast<size_t>(shard)];
  csv::ReadOptions options = options_;
  options.block_bytes = block_bytes;
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenBlocks(object, options, /*meter=*/nullptr));
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
        const csv::Cell cell =
            csv::CellOf(block->RawField(row, fields[column]), block->dialect, &scratch);
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
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenBlocks(object, options_, meter_));
  auto shared = std::make_shared<CsvTask::Shard>();
  shared->number = shard;
  ARROW_ASSIGN_OR_RAISE(shared->fields,
                        MapColumns(columns_, options_.columns.empty(), reader->column_names(),
                                   object.uri, objects_[0].uri));
  shared->types = types_.get();
  shared->rules = &rules_;
  shared->pool = pool_;
  shared->slabs = slabs_;
  shared->meter = meter_;
  shared->on_error = options_.on_error;
  shared->rejected = &rejected_;
  return std::make_unique<CsvShardReader>(std::move(reader), std::move(shared));
}

}  // namespace hayate::ingest
