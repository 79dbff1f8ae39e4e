#include "hayate/ingest/parquet_source.h"

#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/key_value_metadata.h>
#include <arrow/util/parallel.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <set>
#include <utility>

#include "hayate/base/file.h"
#include "hayate/frame/unify.h"
#include "hayate/frame/unify_types.h"

namespace hayate::ingest {
namespace {

using SchemaPtr = std::shared_ptr<arrow::Schema>;
using arrow::internal::ThreadPool;
using FileReaderPtr = std::unique_ptr<parquet::arrow::FileReader>;

constexpr std::array<uint8_t, 4> kMagic = {'P', 'A', 'R', '1'};
constexpr int64_t kFirstBatchRows = 64;
constexpr int64_t kMostBatchRows = 1 << 20;
constexpr int64_t kBatchGrowth = 16;

Status Unreadable(const std::string& uri, const Status& why) {
  if (FaultDetail::Get(why) != nullptr) return why;
  return Fail(Fault::kInput, "the Parquet file cannot be read: " + why.message(), {.object = uri},
              "Fetch or make the file again.");
}

using RandomAccessFilePtr = std::shared_ptr<arrow::io::RandomAccessFile>;

Result<RandomAccessFilePtr> OpenLocal(const source::Object& object) {
  return arrow::io::ReadableFile::Open(object.uri);
}

Result<FileReaderPtr> MakeReader(RandomAccessFilePtr file) {
  // Parquet throws where Arrow returns.
  try {
    parquet::ReaderProperties properties = parquet::default_reader_properties();
    // Else whole column chunks are kept.
    if (!file->supports_zero_copy()) properties.enable_buffered_stream();
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::move(file), properties));
    return builder.Build();
  } catch (const parquet::ParquetException& error) {
    return Status::IOError(error.what());
  }
}

// Dictionaries differ from batch to batch; what they stand for does not.
SchemaPtr WithoutDictionaries(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    auto type = field->type();
    if (type->id() == arrow::Type::DICTIONARY) {
      type = static_cast<const arrow::DictionaryType&>(*type).value_type();
    }
    fields.push_back(arrow::field(field->name(), type));
  }
  return arrow::schema(std::move(fields), schema.metadata());
}

struct Footer {
  SchemaPtr schema;
  int64_t rows;
};

Result<Footer> ReadFooter(const source::Object& object) {
  const auto read = [&]() -> Result<Footer> {
    ARROW_ASSIGN_OR_RAISE(auto file, OpenLocal(object));
    ARROW_ASSIGN_OR_RAISE(const FileReaderPtr reader, MakeReader(std::move(file)));
    SchemaPtr schema;
    ARROW_RETURN_NOT_OK(reader->GetSchema(&schema));
    return Footer{WithoutDictionaries(*schema), reader->parquet_reader()->metadata()->num_rows()};
  };
  auto footer = read();
  if (!footer.ok()) return Unreadable(object.uri, footer.status());
  return footer;
}

Status CheckNames(const arrow::Schema& schema, const std::string& uri) {
  std::set<std::string> names;
  for (const auto& field : schema.fields()) {
    if (names.insert(field->name()).second) continue;
    return Fail(Fault::kInput, "two columns have the name \"" + field->name() + "\"",
                {.object = uri, .column = field->name()}, "Rename one of them.");
  }
  return Status::OK();
}

// Only the wanted columns, in the order of `columns`; all of them if it is empty.
Result<SchemaPtr> Project(const SchemaPtr& schema, const std::vector<std::string>& columns,
                          const std::string& uri) {
  ARROW_RETURN_NOT_OK(CheckNames(*schema, uri));
  if (columns.empty()) return schema;
  arrow::FieldVector fields;
  for (const std::string& name : columns) {
    auto field = schema->GetFieldByName(name);
    if (field == nullptr) {
      return Fail(Fault::kInput, "columns= names the column \"" + name + "\", which is not there",
                  {.object = uri, .column = name}, "Correct the name in columns=.");
    }
    fields.push_back(std::move(field));
  }
  return arrow::schema(std::move(fields));
}

Status CheckSameColumns(const arrow::Schema& schema, const std::string& uri,
                        const arrow::Schema& first, const std::string& first_uri) {
  const auto lacks = [](const arrow::Schema& in, const arrow::Schema& other) -> std::string {
    for (const auto& field : other.fields()) {
      if (in.GetFieldByName(field->name()) == nullptr) return field->name();
    }
    return "";
  };
  const std::string missing = lacks(schema, first);
  const std::string extra = lacks(first, schema);
  if (missing.empty() && extra.empty()) return Status::OK();
  const std::string& name = missing.empty() ? extra : missing;
  return Fail(Fault::kInput,
              missing.empty()
                  ? "there is a column \"" + name + "\", which " + first_uri + " lacks"
                  : "the column \"" + name + "\" is missing, which " + first_uri + " has",
              {.object = uri, .column = name},
              "Make the files with the same columns, or read the common ones by columns=[...].");
}

// What frames say of parts, about files.
Status DoNotGoTogether(const Status& why, const std::string& uri) {
  const auto* detail = FaultDetail::Get(why);
  if (detail == nullptr) return why;
  return Fail(Fault::kInput, why.message(), {.object = uri, .column = detail->where().column},
              "Write the files with the same types, or leave the column out by columns=[...].");
}

// Whether the two are alike but for the zones of timestamps and the names inside of lists.
bool AreAlikeButForZones(const arrow::DataType& a, const arrow::DataType& b) {
  if (a.Equals(b)) return true;
  if (a.id() != b.id() || a.num_fields() != b.num_fields()) return false;
  if (a.id() == arrow::Type::TIMESTAMP) {
    return static_cast<const arrow::TimestampType&>(a).unit() ==
           static_cast<const arrow::TimestampType&>(b).unit();
  }
  if (a.num_fields() == 0) return false;
  for (int i = 0; i < a.num_fields(); ++i) {
    const bool same_name =
        a.id() != arrow::Type::STRUCT || a.field(i)->name() == b.field(i)->name();
    if (!same_name || !AreAlikeButForZones(*a.field(i)->type(), *b.field(i)->type())) return false;
  }
  return true;
}

// The columns of a schema that is given, and nothing else.
Result<std::shared_ptr<arrow::RecordBatch>> TakeAs(const arrow::RecordBatch& batch,
                                                   const SchemaPtr& schema) {
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    const auto column = batch.GetColumnByName(field->name());
    if (column == nullptr) {
      return Fail(Fault::kInput, "the column is missing", {.column = field->name()});
    }
    if (!AreAlikeButForZones(*column->type(), *field->type())) {
      return Fail(Fault::kInput,
                  "the column is " + column->type()->ToString() + " where " +
                      field->type()->ToString() + " is expected",
                  {.column = field->name()});
    }
    ARROW_ASSIGN_OR_RAISE(auto array, column->View(field->type()));
    columns.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

class ConformTask : public BlockTask {
 public:
  ConformTask(const std::string& uri, std::shared_ptr<arrow::RecordBatch> batch, SchemaPtr schema,
              bool schema_is_given, Meter* meter)
      : uri_(uri),
        batch_(std::move(batch)),
        schema_(std::move(schema)),
        schema_is_given_(schema_is_given),
        meter_(meter) {}

  Result<Batches> Run() override {
    meter_->AddRows(batch_->num_rows());
    auto batch = schema_is_given_ ? TakeAs(*batch_, schema_) : frame::ConformTo(*batch_, schema_);
    if (!batch.ok()) return DoNotGoTogether(batch.status(), uri_);
    return Batches{.rows = *std::move(batch)};
  }

 private:
  const std::string& uri_;
  const std::shared_ptr<arrow::RecordBatch> batch_;
  const SchemaPtr schema_;
  const bool schema_is_given_;
  Meter* const meter_;
};

// The columns of a file, in batches of about a block.
class ColumnsReader {
 public:
  // Throws parquet::ParquetException, too.
  static Result<std::unique_ptr<ColumnsReader>> Make(FileReaderPtr file, const SchemaPtr& wanted,
                                                     int64_t block_bytes, ThreadPool* for_columns) {
    std::unique_ptr<ColumnsReader> reader(
        new ColumnsReader(std::move(file), block_bytes, for_columns));
    const auto metadata = reader->file_->parquet_reader()->metadata();
    int64_t rows = 0;
    for (int i = 0; i < metadata->num_row_groups(); ++i) rows += metadata->RowGroup(i)->num_rows();
    if (rows != reader->rows()) {
      return Status::Invalid("its row groups have ", rows, " rows, and the file says ",
                             reader->rows());
    }
    SchemaPtr schema;
    ARROW_RETURN_NOT_OK(reader->file_->GetSchema(&schema));
    arrow::FieldVector fields;
    for (int i = 0; i < schema->num_fields(); ++i) {
      if (wanted->GetFieldByName(schema->field(i)->name()) == nullptr) continue;
      fields.push_back(schema->field(i));
      ARROW_RETURN_NOT_OK(reader->file_->GetColumn(i, &reader->columns_.emplace_back()));
    }
    reader->schema_ = arrow::schema(std::move(fields));
    return reader;
  }

  int64_t rows() const { return file_->parquet_reader()->metadata()->num_rows(); }

  // Null at the end.
  Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    while (true) {
      if (batches_ != nullptr) {
        ARROW_ASSIGN_OR_RAISE(auto batch, batches_->Next());
        if (batch != nullptr) return batch;
        batches_ = nullptr;
      }
      if (rows_read_ == rows()) return nullptr;
      ARROW_RETURN_NOT_OK(ReadTable());
    }
  }

 private:
  ColumnsReader(FileReaderPtr file, int64_t block_bytes, ThreadPool* for_columns)
      : file_(std::move(file)), block_bytes_(block_bytes), for_columns_(for_columns) {}

  Status ReadTable() {
    const int64_t rows = std::min(batch_rows_, this->rows() - rows_read_);
    arrow::ChunkedArrayVector columns(columns_.size());
    const auto read = [&](int i) -> Status {
      const auto at = static_cast<size_t>(i);
      // On those threads nobody else would catch it.
      try {
        ARROW_RETURN_NOT_OK(columns_[at]->NextBatch(rows, &columns[at]));
      } catch (const parquet::ParquetException& error) {
        return Status::IOError(error.what());
      } catch (const std::bad_alloc&) {
        return Status::OutOfMemory("no memory to decode a column");
      }
      if (columns[at] != nullptr && columns[at]->length() == rows) return Status::OK();
      return Status::Invalid("the column ", schema_->field(i)->name(),
                             " has fewer rows than the file says");
    };
    ARROW_RETURN_NOT_OK(arrow::internal::OptionalParallelFor(
        for_columns_ != nullptr, static_cast<int>(columns_.size()), read, for_columns_));
    table_ = arrow::Table::Make(schema_, std::move(columns), rows);
    batches_ = std::make_unique<arrow::TableBatchReader>(*table_);
    rows_read_ += rows;
    const int64_t row_bytes = std::max<int64_t>(1, DecodedBytes(*table_) / rows);
    batch_rows_ = std::clamp<int64_t>(block_bytes_ / row_bytes, 1,
                                      std::min(kMostBatchRows, kBatchGrowth * batch_rows_));
    return Status::OK();
  }

  // Without dictionaries, which do not grow with the rows.
  static int64_t DecodedBytes(const arrow::Table& table) {
    int64_t bytes = 0;
    for (const auto& column : table.columns()) {
      if (column->type()->id() == arrow::Type::DICTIONARY) {
        const auto& type = static_cast<const arrow::DictionaryType&>(*column->type());
        bytes += column->length() * type.index_type()->byte_width();
      } else {
        bytes += arrow::util::TotalBufferSize(*column);
      }
    }
    return bytes;
  }

  const FileReaderPtr file_;
  const int64_t block_bytes_;
  ThreadPool* const for_columns_;  // null: none
  SchemaPtr schema_;
  std::vector<std::unique_ptr<parquet::arrow::ColumnReader>> columns_;
  std::shared_ptr<arrow::Table> table_;
  std::unique_ptr<arrow::TableBatchReader> batches_;  // of `table_`
  int64_t rows_read_ = 0;
  // What a file says of its size is of no use, for a column of few values takes next to nothing in
  // it: so each batch shows how many rows the next one may have, and the first ones are small.
  int64_t batch_rows_ = kFirstBatchRows;
};

class ParquetShardReader : public ShardReader {
 public:
  ParquetShardReader(const source::Object& object, std::unique_ptr<ColumnsReader> file,
                     SchemaPtr schema, bool schema_is_given, Meter* meter)
      : object_(object),
        file_(std::move(file)),
        schema_(std::move(schema)),
        schema_is_given_(schema_is_given),
        meter_(meter) {}

  Result<std::unique_ptr<BlockTask>> Next() override {
    auto next = file_->Next();
    if (!next.ok()) return Unreadable(object_.uri, next.status());
    const auto batch = *std::move(next);
    if (batch == nullptr) return std::unique_ptr<BlockTask>();
    // By rows: how many bytes Arrow has read so far it does not say.
    rows_ += batch->num_rows();
    const auto share = static_cast<double>(rows_) / static_cast<double>(file_->rows());
    const auto told = static_cast<int64_t>(static_cast<double>(object_.size_bytes) * share);
    meter_->AddBytesRead(told - bytes_told_);
    bytes_told_ = told;
    return std::make_unique<ConformTask>(object_.uri, batch, schema_, schema_is_given_, meter_);
  }

 private:
  const source::Object& object_;
  const std::unique_ptr<ColumnsReader> file_;
  const SchemaPtr schema_;
  const bool schema_is_given_;
  Meter* const meter_;
  int64_t rows_ = 0;
  int64_t bytes_told_ = 0;
};

}  // namespace

Result<bool> IsParquet(const source::Object& object) {
  ARROW_ASSIGN_OR_RAISE(auto stream, source::Open(object.uri));
  std::array<uint8_t, kMagic.size()> start{};
  size_t have = 0;
  while (have < start.size()) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(std::span<uint8_t>(start).subspan(have)));
    if (n == 0) return false;
    have += static_cast<size_t>(n);
  }
  return start == kMagic;
}

Result<std::unique_ptr<ParquetSource>> ParquetSource::Make(
    const std::vector<source::Object>& objects, const csv::ReadOptions& options, int threads,
    Meter* meter) {
  if (!options.schema.empty()) {
    return Fail(Fault::kUsage, "schema= is given for Parquet files, which have their own",
                {.object = objects[0].uri}, "Leave schema= out.");
  }
  std::unique_ptr<ParquetSource> parquet_source(
      new ParquetSource(objects, options, OpenLocal, meter));
  ARROW_RETURN_NOT_OK(parquet_source->StartThreads(threads));
  ARROW_RETURN_NOT_OK(parquet_source->UnifySchemas());
  return parquet_source;
}

Result<std::unique_ptr<ParquetSource>> ParquetSource::Make(
    const std::vector<source::Object>& objects, const csv::ReadOptions& options, int threads,
    SchemaPtr schema, OpenFile open_file, Meter* meter) {
  std::unique_ptr<ParquetSource> parquet_source(
      new ParquetSource(objects, options, std::move(open_file), meter));
  ARROW_RETURN_NOT_OK(parquet_source->StartThreads(threads));
  parquet_source->schema_ = std::move(schema);
  parquet_source->schema_is_given_ = true;
  return parquet_source;
}

// Not Arrow's own threads: they are as many as the machine has cores, whoever may use those.
Status ParquetSource::StartThreads(int threads) {
  if (static_cast<int64_t>(objects_.size()) >= threads) return Status::OK();
  return ThreadPool::Make(threads).Value(&for_columns_);
}

Status ParquetSource::UnifySchemas() {
  std::vector<frame::Part> parts;
  for (const source::Object& object : objects_) {
    ARROW_ASSIGN_OR_RAISE(const Footer footer, ReadFooter(object));
    ARROW_ASSIGN_OR_RAISE(const SchemaPtr schema,
                          Project(footer.schema, options_.columns, object.uri));
    if (!parts.empty()) {
      ARROW_RETURN_NOT_OK(CheckSameColumns(*schema, object.uri, *parts[0].schema, objects_[0].uri));
    }
    frame::Part part;
    part.number = static_cast<int64_t>(parts.size());
    part.file = object.uri;
    part.rows = footer.rows;
    part.schema = schema;
    // Their values have not been looked at: 64-bit integers do not become double unseen.
    for (const auto& field : schema->fields()) {
      const auto id = frame::InnermostType(*field->type()).id();
      if (id == arrow::Type::INT64 || id == arrow::Type::UINT64) {
        part.inexact_as_double.push_back(field->name());
      }
    }
    parts.push_back(std::move(part));
  }
  auto unified = frame::UnifySchemas(parts, "", [](const frame::Part& part) { return part.file; });
  if (!unified.ok()) {
    const auto partition = FaultDetail::Get(unified.status())->where().partition;
    return DoNotGoTogether(unified.status(), objects_[static_cast<size_t>(partition.value())].uri);
  }
  schema_ = *unified;
  return Status::OK();
}

Result<std::unique_ptr<ShardReader>> ParquetSource::Open(int64_t shard) {
  const source::Object& object = objects_[static_cast<size_t>(shard)];
  const auto open = [&]() -> Result<std::unique_ptr<ShardReader>> {
    try {
      ARROW_ASSIGN_OR_RAISE(auto bytes, open_file_(object));
      ARROW_ASSIGN_OR_RAISE(FileReaderPtr file, MakeReader(std::move(bytes)));
      ARROW_ASSIGN_OR_RAISE(
          auto columns,
          ColumnsReader::Make(std::move(file), schema_, options_.block_bytes, for_columns_.get()));
      return std::make_unique<ParquetShardReader>(object, std::move(columns), schema_,
                                                  schema_is_given_, meter_);
    } catch (const parquet::ParquetException& error) {
      return Status::IOError(error.what());
    }
  };
  auto reader = open();
  if (!reader.ok()) return Unreadable(object.uri, reader.status());
  return reader;
}

}  // namespace hayate::ingest
