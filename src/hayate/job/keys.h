#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/source/source.h"

namespace hayate::job {

/// A source's file as its key sees it.
struct FileRecord {
  source::Object object;
  std::string name;      ///< relative to the job file where it lies below it, else the whole path
  std::string checksum;  ///< of the content; empty where it is not known
  /// What stands for the file in the key: of the stat with which its content was first seen.
  std::string digest;
};

/// 32 hexadecimal digits of the canonical text of `key_parts` (docs/formats/job.md).
std::string KeyOf(const Json& key_parts);

/// Digest of size, mtime, ctime and inode.
std::string StatDigest(const source::Object& object);

/// Whether both are the same file with the same size, times and inode.
bool SameStat(const source::Object& a, const source::Object& b);

/// What a source's manifest keeps of its files (member "files" of its extra), and back.
Json FilesToJson(const std::vector<FileRecord>& files);
Result<std::vector<FileRecord>> FilesFromJson(const Json& json, const std::string& name);

/// {"format", "options", "semantics", "file <name>"…}.
Json SourceKeyParts(const Node& node, const std::vector<FileRecord>& files);

/// Of a query: {"format", "semantics"} and what the description says of its key.
Json QueryKeyParts(const Node& node);

/// {"<code component>"…, "parameter <name>", "input <param>", "mode"}. `input_keys` are the keys of
/// the nodes that the stage's inputs read, in that order; unused for values.
Json StageKeyParts(const Node& node, const std::vector<std::string>& input_keys);

/// Of a copy of output `output` of the node with `key`, split by `columns`.
Json ShuffleKeyParts(const std::string& key, int64_t output,
                     const std::vector<std::string>& columns, int64_t partitions,
                     bool with_row_numbers);

}  // namespace hayate::job
