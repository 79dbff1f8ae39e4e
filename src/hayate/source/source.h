#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/byte_stream.h"
#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::source {

/// One input file, as found by a listing. What identifies its content without reading it: for a
/// local file the times and the inode, for an object in a bucket its generation.
struct Object {
  std::string uri;  ///< absolute path of a local file, or gs://bucket/name
  int64_t size_bytes = 0;
  int64_t mtime_ns = 0;  ///< of an object in a bucket: when it was written
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  int64_t generation = 0;          ///< 0: a local file
  std::optional<uint32_t> crc32c;  ///< of the stored bytes, where the service says it
};

Json ToJson(const Object& object);
Result<Object> ObjectFromJson(const Json& json);

/// A file as it is now. Fault::kInput if it is not there or is no regular file.
Result<Object> Stat(const std::string& path);

/// Expands paths and globs (`*`, `?`, `[…]`, `**` for any depth) into files, in the order of
/// `patterns` and by name within one. Hidden files are matched only by a pattern that starts with a
/// dot there, folders by none; a name with a bracket that is there literally is that name. A path
/// that does not exist or a glob without a match is an error (Fault::kInput) that names the
/// pattern; so is a match that is no readable file (a link to nothing, a pipe). Each file once.
/// `base` is what relative patterns are relative to.
Result<std::vector<Object>> List(const std::vector<std::string>& patterns, const std::string& base);

/// Opens a local file for reading in order, from any one thread.
Result<std::unique_ptr<ByteStream>> Open(const std::string& uri);

/// How the bytes of an object are had, wherever they are. From any thread.
using Opener = std::function<Result<std::unique_ptr<ByteStream>>(const Object& object)>;

/// XXH3-128 of the content (see base/hash.h).
Result<std::string> ContentChecksum(const std::string& uri);

}  // namespace hayate::source
