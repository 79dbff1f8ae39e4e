#include <arrow/type.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <set>

#include "hayate/base/file.h"
#include "hayate/frame/group_order.h"
#include "hayate/frame/parallel.h"
#include "hayate/frame/sidecar.h"
#include "hayate/frame/unify.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

// Syncs wait for the device, not for a core: some at once let it merge them.
constexpr int kSyncThreads = 8;

std::string Join(const std::string& dir, const std::string& file) {
  return (std::filesystem::path(dir) / file).string();
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// Parts 0…n-1, none missing.
Status CheckNumbers(const std::string& dir, const std::vector<Part>& parts,
                    const CommitOptions& options) {
  const auto have = static_cast<int64_t>(parts.size());
  const int64_t expected = options.expected_parts >= 0 ? options.expected_parts : have;
  for (int64_t i = 0; i < std::max(have, expected); ++i) {
    if (i >= have || parts[static_cast<size_t>(i)].number != i || i >= expected) {
      const bool surplus = i >= expected;
      return Fail(Fault::kInternal,
                  (surplus ? "the frame has a part too many, of " : "a part is missing, of ") +
                      std::to_string(expected),
                  {.object = dir, .stage = options.name, .partition = i},
                  "Run again with --fresh.");
    }
  }
  return Status::OK();
}

Status CheckRows(const Manifest& manifest, int64_t min_rows) {
  if (manifest.rows >= min_rows) return Status::OK();
  return Fail(Fault::kInput,
              "it has " + std::to_string(manifest.rows) + " rows, fewer than the " +
                  std::to_string(min_rows) + " asked for",
              {.object = manifest.name}, "Check the input, or lower min_rows=.");
}

// Removes what the manifest does not name: sidecars, parts in another order, temporaries of workers
// that were killed.
Status RemoveLeftovers(const std::string& dir, const Manifest& manifest) {
  std::set<std::string> keep;
  for (const Part& part : manifest.parts) keep.insert(part.file);
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(dir));
  for (const std::string& name : names) {
    const bool ours =
        name.starts_with("part-") || (name.starts_with(".") && name.ends_with(".tmp"));
    if (!ours || keep.contains(name)) continue;
    const std::string path = Join(dir, name);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return FailErrno(errno, "cannot remove", {.object = path});
    }
  }
  return Status::OK();
}

// Whether the commit that wrote the manifest saw these parts; else they were finished since, and it
// is not the frame of what lies there now.
bool AreLeftovers(const std::vector<Part>& finished, const Manifest& manifest) {
  return std::all_of(finished.begin(), finished.end(), [&](const Part& part) {
    const auto same = std::find_if(manifest.parts.begin(), manifest.parts.end(),
                                   [&](const Part& one) { return one.file == part.file; });
    // Parts with groups stand in the manifest in another order, as other files.
    return same == manifest.parts.end() ? !part.groups.empty() : same->checksum == part.checksum;
  });
}

// Also that there is such a directory.
Status SyncParts(const std::string& dir, const std::vector<Part>& parts) {
  ARROW_RETURN_NOT_OK(ParallelFor(static_cast<int64_t>(parts.size()), kSyncThreads, [&](int64_t i) {
    return SyncPath(Join(dir, parts[static_cast<size_t>(i)].file));
  }));
  ARROW_RETURN_NOT_OK(SyncPath(dir));
  return SyncPath(ParentFolder(dir));
}

}  // namespace

Result<std::optional<Manifest>> FindCommitted(const std::string& dir, const std::string& key) {
  auto manifest = ReadManifest(dir);
  if (!manifest.ok() || manifest->key != key) return std::nullopt;
  if (manifest->needs_verify() || FindMissingPart(dir, *manifest)) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(const auto finished, FinishedParts(dir));
  if (!AreLeftovers(finished, *manifest)) return std::nullopt;
  ARROW_RETURN_NOT_OK(RemoveLeftovers(dir, *manifest));
  return *std::move(manifest);
}

Status MakeDurable(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(Manifest manifest, ReadManifest(dir));
  if (manifest.boot.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(SyncParts(dir, manifest.parts));
  manifest.boot.clear();
  return WriteManifest(dir, manifest);
}

Result<Manifest> Commit(const std::string& dir, const CommitOptions& options) {
  ARROW_RETURN_NOT_OK(MakeDirectories(dir));
  if (!options.key.empty()) {
    ARROW_ASSIGN_OR_RAISE(auto committed, FindCommitted(dir, options.key));
    if (committed && options.durable) {
      ARROW_RETURN_NOT_OK(MakeDurable(dir));
      committed->boot.clear();
    }
    if (committed) return *std::move(committed);
  }
  ARROW_RETURN_NOT_OK(CheckParts(dir));
  Manifest manifest;
  manifest.name = options.name;
  manifest.key = options.key;
  manifest.key_parts = options.key_parts;
  manifest.warnings = options.warnings;
  manifest.extra = options.extra;
  ARROW_ASSIGN_OR_RAISE(manifest.parts, FinishedParts(dir));
  ARROW_RETURN_NOT_OK(CheckNumbers(dir, manifest.parts, options));
  for (const Part& part : manifest.parts) manifest.rows += part.rows;
  ARROW_RETURN_NOT_OK(CheckRows(manifest, options.min_rows));
  ARROW_ASSIGN_OR_RAISE(manifest.schema, UnifySchemas(manifest.parts, options.name));

  const bool grouped = std::any_of(manifest.parts.begin(), manifest.parts.end(),
                                   [](const Part& part) { return !part.groups.empty(); });
  if (grouped && manifest.is_table()) {
    ARROW_ASSIGN_OR_RAISE(manifest.parts, WriteInGroupOrder(dir, manifest.parts, manifest.schema));
    manifest.schema = manifest.parts.front().schema;
  }
  for (const Part& part : manifest.parts) manifest.bytes += part.bytes;
  for (Part& part : manifest.parts) part.resume = Json::object();
  manifest.created = Now();
  // It belongs to parts that were here before.
  const std::string whole = Join(dir, "whole.arrow");
  if (unlink(whole.c_str()) != 0 && errno != ENOENT) {
    return FailErrno(errno, "cannot remove", {.object = whole});
  }
  // A system that does not say its boot could not tell afterwards that it lost power.
  if (!options.durable) manifest.boot = BootId();
  if (manifest.boot.empty()) ARROW_RETURN_NOT_OK(SyncParts(dir, manifest.parts));
  ARROW_RETURN_NOT_OK(WriteManifest(dir, manifest));
  ARROW_RETURN_NOT_OK(RemoveLeftovers(dir, manifest));
  return manifest;
}

}  // namespace hayate::frame
