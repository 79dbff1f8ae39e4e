#include "hayate/frame/manifest.h"

#include <arrow/type.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/frame/schema_json.h"
#include "hayate/frame/sidecar.h"

namespace hayate::frame {
namespace {

constexpr const char* kRemake = "Remove the frame's directory; it is made again.";

template <typename T>
Status Read(const Json& json, const char* key, const std::string& name, T* out) {
  ARROW_ASSIGN_OR_RAISE(*out, Member<T>(json, key, name));
  return Status::OK();
}

constexpr std::array<std::string_view, 4> kUnits = {"s", "ms", "us", "ns"};  // by TimeUnit

Result<arrow::TimeUnit::type> UnitFromName(const std::string& unit, const std::string& name) {
  const auto found = std::find(kUnits.begin(), kUnits.end(), unit);
  if (found == kUnits.end()) {
    return Fail(Fault::kInput, "\"" + unit + "\" is no unit of time", {.object = name}, kRemake);
  }
  return static_cast<arrow::TimeUnit::type>(found - kUnits.begin());
}

// All of a part but its schema, which stands inline in a sidecar and by number in a manifest.
Json WithoutSchema(const Part& part) {
  Json json = {{"number", part.number}, {"file", part.file},   {"codec", part.codec},
               {"rows", part.rows},     {"bytes", part.bytes}, {"checksum", part.checksum}};
  if (!part.inexact_as_double.empty()) json["inexact_as_double"] = part.inexact_as_double;
  for (const auto& [column, unit] : part.finest_unit) json["finest_unit"][column] = kUnits[unit];
  if (!part.groups.empty()) json["groups"] = part.groups;
  if (!part.extra.empty()) json["extra"] = part.extra;
  return json;
}

Result<Part> PartWithoutSchema(const Json& json, const std::string& name) {
  Part part;
  ARROW_RETURN_NOT_OK(Read(json, "number", name, &part.number));
  ARROW_RETURN_NOT_OK(Read(json, "file", name, &part.file));
  ARROW_RETURN_NOT_OK(Read(json, "codec", name, &part.codec));
  ARROW_RETURN_NOT_OK(Read(json, "rows", name, &part.rows));
  ARROW_RETURN_NOT_OK(Read(json, "bytes", name, &part.bytes));
  ARROW_RETURN_NOT_OK(Read(json, "checksum", name, &part.checksum));
  if (part.file.empty() || part.file.find('/') != std::string::npos) {
    return Fail(Fault::kInput, "a part's file \"" + part.file + "\" is not a plain name",
                {.object = name}, kRemake);
  }
  if (json.contains("inexact_as_double")) {
    ARROW_RETURN_NOT_OK(Read(json, "inexact_as_double", name, &part.inexact_as_double));
  }
  if (json.contains("finest_unit")) {
    std::map<std::string, std::string> units;
    ARROW_RETURN_NOT_OK(Read(json, "finest_unit", name, &units));
    for (const auto& [column, unit] : units) {
      ARROW_ASSIGN_OR_RAISE(part.finest_unit[column], UnitFromName(unit, name));
    }
  }
  if (json.contains("groups")) ARROW_RETURN_NOT_OK(Read(json, "groups", name, &part.groups));
  if (json.contains("extra")) part.extra = json["extra"];
  return part;
}

// The schemas of parts that differ from the frame's, each once.
class SchemaList {
 public:
  int64_t IndexOf(const std::shared_ptr<arrow::Schema>& schema) {
    for (size_t i = 0; i < schemas_.size(); ++i) {
      if (schemas_[i]->Equals(*schema, /*check_metadata=*/true)) return static_cast<int64_t>(i);
    }
    schemas_.push_back(schema);
    return static_cast<int64_t>(schemas_.size()) - 1;
  }

  Json ToJson() const {
    Json json = Json::array();
    for (const auto& schema : schemas_) json.push_back(SchemaToJson(*schema));
    return json;
  }

 private:
  std::vector<std::shared_ptr<arrow::Schema>> schemas_;
};

}  // namespace

bool Manifest::needs_verify() const { return !boot.empty() && boot != BootId(); }

Json ToJson(const Part& part) {
  Json json = WithoutSchema(part);
  if (part.schema) json["schema"] = SchemaToJson(*part.schema);
  if (!part.resume.empty()) json["resume"] = part.resume;
  return json;
}

Result<Part> PartFromJson(const Json& json, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(Part part, PartWithoutSchema(json, name));
  if (json.contains("schema")) {
    ARROW_ASSIGN_OR_RAISE(part.schema, SchemaFromJson(json["schema"], name));
  }
  if (json.contains("resume")) part.resume = json["resume"];
  return part;
}

Json ToJson(const Manifest& manifest) {
  SchemaList schemas;
  Json parts = Json::array();
  for (const Part& part : manifest.parts) {
    Json json = WithoutSchema(part);
    if (part.schema && !(manifest.schema && part.schema->Equals(*manifest.schema, true))) {
      json["schema"] = schemas.IndexOf(part.schema);
    }
    parts.push_back(std::move(json));
  }
  Json json = {{"format", kFrameFormat},
               {"name", manifest.name},
               {"key", manifest.key},
               {"key_parts", manifest.key_parts},
               {"schema", manifest.schema ? SchemaToJson(*manifest.schema) : Json()},
               {"schemas", schemas.ToJson()},
               {"parts", std::move(parts)},
               {"rows", manifest.rows},
               {"bytes", manifest.bytes},
               {"created", manifest.created},
               {"warnings", manifest.warnings},
               {"extra", manifest.extra}};
  if (!manifest.boot.empty()) json["boot"] = manifest.boot;
  return json;
}

Result<Manifest> ManifestFromJson(const Json& json, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto format, Member<int64_t>(json, "format", name));
  if (format != kFrameFormat) {
    return Fail(Fault::kInput,
                "the frame has format " + std::to_string(format) + "; this hayate reads format " +
                    std::to_string(kFrameFormat),
                {.object = name}, kRemake);
  }
  Manifest manifest;
  ARROW_RETURN_NOT_OK(Read(json, "name", name, &manifest.name));
  ARROW_RETURN_NOT_OK(Read(json, "key", name, &manifest.key));
  ARROW_RETURN_NOT_OK(Read(json, "key_parts", name, &manifest.key_parts));
  ARROW_RETURN_NOT_OK(Read(json, "rows", name, &manifest.rows));
  ARROW_RETURN_NOT_OK(Read(json, "bytes", name, &manifest.bytes));
  ARROW_RETURN_NOT_OK(Read(json, "created", name, &manifest.created));
  ARROW_RETURN_NOT_OK(Read(json, "warnings", name, &manifest.warnings));
  ARROW_RETURN_NOT_OK(Read(json, "extra", name, &manifest.extra));
  if (json.contains("boot")) ARROW_RETURN_NOT_OK(Read(json, "boot", name, &manifest.boot));
  ARROW_ASSIGN_OR_RAISE(const auto schema, Member<Json>(json, "schema", name));
  if (!schema.is_null()) {
    ARROW_ASSIGN_OR_RAISE(manifest.schema, SchemaFromJson(schema, name));
  }
  std::vector<std::shared_ptr<arrow::Schema>> schemas;
  ARROW_ASSIGN_OR_RAISE(const auto schema_list, Member<std::vector<Json>>(json, "schemas", name));
  for (const Json& other : schema_list) {
    ARROW_ASSIGN_OR_RAISE(schemas.emplace_back(), SchemaFromJson(other, name));
  }
  ARROW_ASSIGN_OR_RAISE(const auto parts, Member<std::vector<Json>>(json, "parts", name));
  for (const Json& entry : parts) {
    ARROW_ASSIGN_OR_RAISE(Part part, PartWithoutSchema(entry, name));
    if (entry.contains("schema")) {
      ARROW_ASSIGN_OR_RAISE(const auto index, Member<size_t>(entry, "schema", name));
      if (index >= schemas.size()) {
        return Fail(Fault::kInput, "a part names a schema that is not there", {.object = name},
                    kRemake);
      }
      part.schema = schemas[index];
    } else if (part.codec == "arrow") {
      part.schema = manifest.schema;
    }
    manifest.parts.push_back(std::move(part));
  }
  return manifest;
}

Result<Manifest> ReadManifest(const std::string& dir) {
  const std::string path = (std::filesystem::path(dir) / "frame.json").string();
  if (!PathExists(path)) {
    return Fail(Fault::kInput, "no frame is there: it has no frame.json", {.object = dir},
                "Check the path; a frame appears when the stage that makes it has finished.");
  }
  ARROW_ASSIGN_OR_RAISE(const std::string text, ReadFile(path));
  ARROW_ASSIGN_OR_RAISE(const Json json, ParseJson(text, path));
  return ManifestFromJson(json, path);
}

Status WriteManifest(const std::string& dir, const Manifest& manifest) {
  const std::string text =
      ToJson(manifest).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  ARROW_ASSIGN_OR_RAISE(const auto file,
                        AtomicFile::Create((std::filesystem::path(dir) / "frame.json").string()));
  ARROW_RETURN_NOT_OK(file->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  return manifest.boot.empty() ? file->CommitDurably() : file->Commit();
}

std::optional<int64_t> FindMissingPart(const std::string& dir, const Manifest& manifest) {
  for (const Part& part : manifest.parts) {
    struct stat info;
    const std::string path = (std::filesystem::path(dir) / part.file).string();
    if (stat(path.c_str(), &info) != 0 || info.st_size != part.bytes) return part.number;
  }
  return std::nullopt;
}

std::string PartFileName(int64_t number, const std::string& extension) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "part-%05lld", static_cast<long long>(number));
  return digits + extension;
}

}  // namespace hayate::frame
