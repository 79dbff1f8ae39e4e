#include "hayate/job/keys.h"

#include "hayate/base/hash.h"
#include "hayate/frame/manifest.h"
#include "hayate/ingest/ingest.h"
#include "hayate/shuffle/shuffle.h"

namespace hayate::job {
namespace {

// Longer values of parameters stand as a digest: the parts are shown to people.
constexpr size_t kMaxShownBytes = 200;

Json Semantics() {
  return {{"ingest_semantics", ingest::kIngestSemantics}, {"frame_format", frame::kFrameFormat}};
}

Json Shown(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : ToCanonicalText(value);
  if (text.size() > kMaxShownBytes) return Json(HashText(ToCanonicalText(value)));
  return value;
}

std::string FrameKey(const std::string& key, int64_t output) {
  return key + "/" + std::to_string(output);
}

}  // namespace

std::string KeyOf(const Json& key_parts) { return HashText(ToCanonicalText(key_parts)); }

std::string StatDigest(const source::Object& object) {
  return HashText(ToCanonicalText(
      Json::array({object.size_bytes, object.mtime_ns, object.ctime_ns, object.inode})));
}

bool SameStat(const source::Object& a, const source::Object& b) {
  return a.uri == b.uri && a.size_bytes == b.size_bytes && a.mtime_ns == b.mtime_ns &&
         a.ctime_ns == b.ctime_ns && a.inode == b.inode;
}

Json FilesToJson(const std::vector<FileRecord>& files) {
  Json list = Json::array();
  for (const FileRecord& file : files) {
    Json one = source::ToJson(file.object);
    one["name"] = file.name;
    one["checksum"] = file.checksum;
    one["digest"] = file.digest;
    list.push_back(std::move(one));
  }
  return list;
}

Result<std::vector<FileRecord>> FilesFromJson(const Json& json, const std::string& name) {
  std::vector<FileRecord> files;
  if (!json.is_array()) return files;
  for (const Json& one : json) {
    FileRecord file;
    ARROW_ASSIGN_OR_RAISE(file.object, source::ObjectFromJson(one));
    ARROW_ASSIGN_OR_RAISE(file.name, Member<std::string>(one, "name", name));
    ARROW_ASSIGN_OR_RAISE(file.checksum, Member<std::string>(one, "checksum", name));
    ARROW_ASSIGN_OR_RAISE(file.digest, Member<std::string>(one, "digest", name));
    files.push_back(std::move(file));
  }
  return files;
}

Json SourceKeyParts(const Node& node, const std::vector<FileRecord>& files) {
  Json parts = {{"format", node.format},
                {"options", HashText(ToCanonicalText(node.options))},
                {"semantics", Semantics()}};
  // The order of the files is the order of the rows.
  std::string order;
  for (const FileRecord& file : files) {
    parts["file " + file.name] = file.digest;
    order += file.name + "\n";
  }
  parts["files"] = HashText(order);
  return parts;
}

Json QueryKeyParts(const Node& node) {
  Json parts = node.key;
  parts["format"] = node.format;
  parts["semantics"] = Semantics();
  return parts;
}

Json StageKeyParts(const Node& node, const std::vector<std::string>& input_keys) {
  Json parts = Json::object();
  for (const auto& [component, digest] : node.code.items()) parts[component] = digest;
  Json as = Json::object();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Input& input = node.inputs[i];
    if (input.is_value()) {
      const auto value = input.value.find("value");
      parts["parameter " + input.param] =
          value == input.value.end() ? Shown(input.value) : Shown(*value);
      continue;
    }
    parts["input " + input.param] = HashText(FrameKey(input_keys[i], input.output));
    as[input.param] = input.as;
  }
  Json mode = {{"mode", ModeName(node.mode)},
               {"outputs", node.outputs},
               {"as", as},
               {"frame_format", frame::kFrameFormat}};
  if (node.is_split()) mode["split"] = node.split;
  if (node.mode == Mode::kRows) mode["rows"] = node.rows;
  if (!node.by.empty()) {
    mode["by"] = node.by;
    mode["partition_hash"] = shuffle::kPartitionHash;
  }
  parts["mode"] = std::move(mode);
  return parts;
}

Json ShuffleKeyParts(const std::string& key, int64_t output,
                     const std::vector<std::string>& columns, int64_t partitions,
                     bool with_row_numbers) {
  return {{"input", HashText(FrameKey(key, output))},
          {"columns", columns},
          {"partitions", partitions},
          {"row_numbers", with_row_numbers},
          {"partition_hash", shuffle::kPartitionHash},
          {"frame_format", frame::kFrameFormat}};
}

}  // namespace hayate::job
