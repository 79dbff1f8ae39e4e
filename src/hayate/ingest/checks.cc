#include "hayate/ingest/checks.h"

#include <string>

#include "hayate/ingest/parquet_source.h"

namespace hayate::ingest {
namespace {

using Objects = std::vector<source::Object>;

// Also for a file that says it by its name only.
Status CheckName(const source::Object& object, bool is_parquet) {
  if (is_parquet || !object.uri.ends_with(".parquet")) return Status::OK();
  return Fail(Fault::kInput,
              std::string("the file is named as Parquet, but ") +
                  (object.size_bytes == 0 ? "it is empty" : "does not begin as such a file does"),
              {.object = object.uri},
              "Fetch or make the file again; if it is text, give it another name.");
}

}  // namespace

Status CheckInput(const Objects& objects, const IngestOptions& options) {
  ARROW_RETURN_NOT_OK(options.csv.Validate());
  if (options.format != "auto" && options.format != "csv" && options.format != "parquet") {
    return Fail(Fault::kUsage, "the format \"" + options.format + "\" is not known", {},
                "Use csv, parquet or auto.");
  }
  if (objects.empty()) {
    return Fail(Fault::kInput, "there is no input file", {}, "Name at least one file.");
  }
  return Status::OK();
}

Result<bool> AreParquet(const Objects& objects, const std::string& format) {
  if (format != "auto") return format == "parquet";
  ARROW_ASSIGN_OR_RAISE(const bool first, IsParquet(objects[0]));
  ARROW_RETURN_NOT_OK(CheckName(objects[0], first));
  for (const source::Object& object : objects) {
    ARROW_ASSIGN_OR_RAISE(const bool is_parquet, IsParquet(object));
    ARROW_RETURN_NOT_OK(CheckName(object, is_parquet));
    if (is_parquet == first) continue;
    return Fail(Fault::kInput,
                std::string("a file is ") + (is_parquet ? "Parquet" : "text") + " where " +
                    objects[0].uri + " is " + (first ? "Parquet" : "text"),
                {.object = object.uri}, "Read files of one format at a time.");
  }
  return first;
}

Status CheckRows(int64_t rows, const Objects& objects, const IngestOptions& options) {
  const std::string object = objects[0].uri;
  const std::string where =
      objects.size() == 1 ? "" : " in the " + std::to_string(objects.size()) + " files";
  if (rows == 0 && !options.allow_empty) {
    return Fail(Fault::kInput, "there are no rows" + where, {.object = object},
                "Check what writes the input, or say allow_empty=True if that can be.");
  }
  if (rows < options.min_rows) {
    return Fail(Fault::kInput,
                "there are " + std::to_string(rows) + " rows" + where +
                    ", fewer than min_rows=" + std::to_string(options.min_rows),
                {.object = object}, "Check what writes the input, or lower min_rows.");
  }
  return Status::OK();
}

}  // namespace hayate::ingest
