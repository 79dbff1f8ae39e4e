#include "hayate/ingest/quarantine.h"

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "hayate/base/file.h"
#include "hayate/csv/utf8.h"
#include "hayate/frame/manifest.h"
#include "hayate/frame/writer.h"

namespace hayate::ingest {
namespace {

std::string AsUtf8(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  while (true) {
    const int64_t bad = csv::FindInvalidUtf8(text);
    if (bad < 0) return out.append(text);
    const auto at = static_cast<size_t>(bad);
    const auto byte = static_cast<uint8_t>(text[at]);
    out.append(text.substr(0, at)).append({'\\', 'x', kHex[byte >> 4], kHex[byte & 0xf]});
    text.remove_prefix(at + 1);
  }
}

std::string QuarantineIn(const std::string& dir) { return dir + "/" + kQuarantineFolder; }

bool IsFolder(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_directory(path, none);
}

std::string PlaceOf(const std::string& object, int64_t row) {
  return " (" + object + ", row " + std::to_string(row) + ")";
}

}  // namespace

std::shared_ptr<arrow::Schema> QuarantineSchema() {
  return arrow::schema({arrow::field("object", arrow::utf8()), arrow::field("row", arrow::int64()),
                        arrow::field("line", arrow::int64()), arrow::field("column", arrow::utf8()),
                        arrow::field("reason", arrow::utf8()),
                        arrow::field("text", arrow::utf8())});
}

Result<std::shared_ptr<arrow::RecordBatch>> QuarantineBatch(const std::string& object,
                                                            const std::vector<csv::BadRow>& rows) {
  arrow::StringBuilder objects;
  arrow::Int64Builder numbers;
  arrow::Int64Builder lines;
  arrow::StringBuilder columns;
  arrow::StringBuilder reasons;
  arrow::StringBuilder texts;
  for (const csv::BadRow& row : rows) {
    ARROW_RETURN_NOT_OK(objects.Append(object));
    ARROW_RETURN_NOT_OK(numbers.Append(row.row));
    ARROW_RETURN_NOT_OK(lines.Append(row.line));
    ARROW_RETURN_NOT_OK(row.column.empty() ? columns.AppendNull() : columns.Append(row.column));
    ARROW_RETURN_NOT_OK(reasons.Append(row.reason));
    ARROW_RETURN_NOT_OK(texts.Append(AsUtf8(row.text)));
  }
  arrow::ArrayVector arrays;
  for (arrow::ArrayBuilder* const builder : std::initializer_list<arrow::ArrayBuilder*>{
           &objects, &numbers, &lines, &columns, &reasons, &texts}) {
    ARROW_ASSIGN_OR_RAISE(auto array, builder->Finish());
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(QuarantineSchema(), static_cast<int64_t>(rows.size()),
                                  std::move(arrays));
}

Result<PutAside> FindPutAside(const std::string& dir) {
  const std::string folder = QuarantineIn(dir);
  PutAside found;
  if (!IsFolder(folder)) return found;
  std::vector<frame::Part> parts;
  found.committed = PathExists(folder + "/frame.json");
  if (found.committed) {
    ARROW_ASSIGN_OR_RAISE(frame::Manifest manifest, frame::ReadManifest(folder));
    parts = std::move(manifest.parts);
  } else {
    ARROW_RETURN_NOT_OK(frame::CheckParts(folder));
    ARROW_ASSIGN_OR_RAISE(parts, frame::FinishedParts(folder));
  }
  for (const frame::Part& part : parts) found.shards.insert(part.number);
  return found;
}

Status ClearPutAside(const std::string& dir) { return frame::ClearFrame(QuarantineIn(dir)); }

Result<int64_t> CommitQuarantine(const std::string& dir, const std::string& key, bool durable) {
  const std::string folder = QuarantineIn(dir);
  if (!IsFolder(folder)) return 0;
  ARROW_ASSIGN_OR_RAISE(auto manifest, frame::FindCommitted(folder, key));
  if (!manifest) {
    ARROW_ASSIGN_OR_RAISE(
        manifest,
        frame::Commit(folder, {.name = kQuarantineFolder, .key = key, .durable = durable}));
  }
  return manifest->rows;
}

Status MakeQuarantineDurable(const std::string& dir) {
  const std::string folder = QuarantineIn(dir);
  return PathExists(folder + "/frame.json") ? frame::MakeDurable(folder) : Status::OK();
}

void Rejected::Add(int64_t shard, const std::string& column, Count count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Count& known = counts_[{column, shard}];
  count.number += known.number;
  if (known.number > 0 && known.row <= count.row) {
    known.number = count.number;
  } else {
    known = std::move(count);
  }
}

void Rejected::AddValue(int64_t shard, const std::string& object, const std::string& column,
                        int64_t row, const std::string& what) {
  Add(shard, column, {.number = 1, .row = row, .what = what, .object = object});
}

void Rejected::AddRow(int64_t shard, const std::string& object, const csv::BadRow& row) {
  const std::string in = row.column.empty() ? "" : "column " + row.column + ": ";
  Add(shard, "", {.number = 1, .row = row.row, .what = in + row.reason, .object = object});
}

void Rejected::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  counts_.clear();
}

Json Rejected::ToJson(int64_t shard) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Json json = Json::array();
  for (const auto& [place, count] : counts_) {
    if (place.second != shard) continue;
    json.push_back({{"column", place.first},
                    {"number", count.number},
                    {"row", count.row},
                    {"what", count.what},
                    {"object", count.object}});
  }
  return json;
}

Status Rejected::Restore(int64_t shard, const Json& json, const std::string& name) {
  for (const Json& one : json) {
    Count count;
    ARROW_ASSIGN_OR_RAISE(const auto column, Member<std::string>(one, "column", name));
    ARROW_ASSIGN_OR_RAISE(count.number, Member<int64_t>(one, "number", name));
    ARROW_ASSIGN_OR_RAISE(count.row, Member<int64_t>(one, "row", name));
    ARROW_ASSIGN_OR_RAISE(count.what, Member<std::string>(one, "what", name));
    ARROW_ASSIGN_OR_RAISE(count.object, Member<std::string>(one, "object", name));
    Add(shard, column, std::move(count));
  }
  return Status::OK();
}

std::vector<std::string> Rejected::Warnings(csv::OnError on_error) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> warnings;
  for (auto at = counts_.begin(); at != counts_.end();) {
    const std::string& column = at->first.first;
    const Count& first = at->second;
    int64_t number = 0;
    for (; at != counts_.end() && at->first.first == column; ++at) number += at->second.number;
    const std::string many = std::to_string(number);
    const bool one = number == 1;
    std::string text;
    if (!column.empty()) {
      text = "column " + column + ": " + many + (one ? " value is" : " values are") +
             " null because " + (one ? "it" : "they") + " cannot be read";
    } else {
      text = many + (one ? " row is " : " rows are ") +
             (on_error == csv::OnError::kQuarantine ? "put aside" : "left out");
    }
    warnings.push_back(text + "; the first: " + first.what + PlaceOf(first.object, first.row));
  }
  return warnings;
}

}  // namespace hayate::ingest
