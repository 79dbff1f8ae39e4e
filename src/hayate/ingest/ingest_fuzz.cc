#include <arrow/api.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "hayate/inflate/test_gzip.h"
#include "hayate/ingest/ingest.h"
#include "hayate/ingest/record_stream.h"
#include "hayate/source/source.h"

namespace {

namespace ingest = hayate::ingest;
using hayate::inflate::GzipOf;
using Objects = std::vector<hayate::source::Object>;

// Two shards, the first as gzip members of the two halves of its text.
Objects Write(const std::string& dir, const std::string& text, size_t cut) {
  const std::string first = text.substr(0, text.size() - text.size() / 3);
  cut = first.empty() ? 0 : cut % first.size();
  std::ofstream(dir + "/a.csv.gz", std::ios::binary)
      << GzipOf(first.substr(0, cut)) + GzipOf(first.substr(cut));
  std::ofstream(dir + "/b.csv", std::ios::binary)
      << first.substr(0, first.find('\n') + 1) + text.substr(first.size());
  return hayate::source::List({dir + "/a.csv.gz", dir + "/b.csv"}, dir).ValueOrDie();
}

// What every way of reading must agree on.
struct Outcome {
  std::shared_ptr<arrow::Table> rows;
  std::shared_ptr<arrow::Table> put_aside;
  std::vector<std::string> warnings;
  std::string error;

  bool operator==(const Outcome& other) const {
    const auto equal = arrow::EqualOptions::Defaults().nans_equal(true);
    const auto same = [&](const auto& a, const auto& b) {
      return (a == nullptr) == (b == nullptr) && (a == nullptr || a->Equals(*b, equal));
    };
    return error == other.error && warnings == other.warnings && same(rows, other.rows) &&
           same(put_aside, other.put_aside);
  }
};

std::string ErrorOf(const hayate::Status& status) {
  const auto* detail = hayate::FaultDetail::Get(status);
  return status.message() + (detail == nullptr ? "" : detail->where().ToString());
}

Outcome AsTable(const Objects& objects, ingest::IngestOptions options, int threads,
                int64_t block_bytes) {
  options.threads = threads;
  options.csv.block_bytes = block_bytes;
  Outcome outcome;
  auto table = ingest::IngestToTable(objects, options);
  outcome.error = ErrorOf(table.status());
  if (!table.ok()) return outcome;
  outcome.rows = std::move(table->rows);
  outcome.put_aside = std::move(table->put_aside);
  outcome.warnings = std::move(table->warnings);
  if (!outcome.rows->ValidateFull().ok()) std::abort();
  return outcome;
}

Outcome AsStream(const Objects& objects, ingest::IngestOptions options, int64_t block_bytes) {
  options.threads = 2;
  options.csv.block_bytes = block_bytes;
  Outcome outcome;
  auto stream = ingest::OpenRecordStream(objects, options);
  outcome.error = ErrorOf(stream.status());
  if (!stream.ok()) return outcome;
  auto rows = (*stream)->ToTable();
  outcome.error = ErrorOf(rows.status());
  if (!rows.ok()) return outcome;
  outcome.rows = arrow::DictionaryUnifier::UnifyTable(**rows).ValueOrDie();
  outcome.warnings = (*stream)->Warnings();
  if (options.csv.on_error == hayate::csv::OnError::kQuarantine) {
    outcome.put_aside = (*stream)->PutAside().ValueOrDie();
  }
  return outcome;
}

// Every column by a type of its own, as far as there are types.
ingest::IngestOptions WithSchema(const Objects& objects, ingest::IngestOptions options) {
  static const auto* const kTypes =
      new std::vector<std::string>{"INT64", "STRING", "FLOAT64", "TIMESTAMP", "NUMERIC",
                                   "BOOL",  "DATE",   "BYTES",   "INT8",      "DICTIONARY"};
  const auto table = ingest::IngestToTable({objects[0]}, options);
  if (!table.ok()) return options;
  size_t next = 0;
  for (const std::string& name : table->rows->ColumnNames()) {
    options.csv.schema[name] = (*kTypes)[next++ % kTypes->size()];
  }
  return options;
}

// A folder for all runs of this process.
const std::string& Folder() {
  static const auto* const folder = [] {
    const auto path =
        std::filesystem::temp_directory_path() / ("hayate-ingest-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    return new std::string(path.string());
  }();
  return *folder;
}

}  // namespace

/// The first four bytes choose options, schema, block and where a gzip member ends; the rest is the
/// text. One thread and many, tables and streams, and blocks of any size must give the same rows,
/// bad rows, warnings and error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostBytes = 1 << 13;
  constexpr size_t kChoices = 4;
  if (size < kChoices || size > kMostBytes) return 0;
  const std::string text(reinterpret_cast<const char*>(data + kChoices), size - kChoices);
  const Objects objects = Write(Folder(), text, data[3]);
  ingest::IngestOptions options{.format = "csv", .allow_empty = true};
  options.csv.on_error = static_cast<hayate::csv::OnError>(data[0] % 3);
  options.csv.replace_undecodable = (data[0] & 64) != 0;
  if ((data[0] & 128) != 0) options.csv.encoding = "latin-1";
  const bool has_schema = (data[1] & 1) != 0;
  if (has_schema) options = WithSchema(objects, options);
  const Outcome serial = AsTable(objects, options, 1, 1 << 20);
  if (!(AsTable(objects, options, 3, 1 + data[2]) == serial)) std::abort();
  const Outcome stream = AsStream(objects, options, 1 + data[2]);
  if (!(AsStream(objects, options, 1 << 20) == stream)) std::abort();
  if (has_schema && !options.csv.schema.empty() && !(stream == serial)) std::abort();
  return 0;
}
