#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "hayate/base/file.h"
#include "hayate/source/source.h"

namespace hayate::source {
namespace {

namespace fs = std::filesystem;

// Deeper trees than this are taken for a loop of links.
constexpr int kMaxDepth = 64;

bool HasWildcard(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

std::vector<std::string> Components(const fs::path& path) {
  std::vector<std::string> components;
  for (const auto& component : path) {
    if (component != "/" && !component.empty()) components.push_back(component.string());
  }
  return components;
}

// A name that has a bracket in it is that name, where it is there: as a pattern it would not even
// match itself.
bool IsLiteral(const fs::path& prefix, const std::string& component) {
  if (!HasWildcard(component)) return true;
  struct stat info;
  return fnmatch(component.c_str(), component.c_str(), FNM_PERIOD) != 0 &&
         lstat((prefix / component).c_str(), &info) == 0;
}

enum class Kind { kMissing, kFolder, kOther };

// What cannot be looked at (a dangling link, a loop of links) may be data: an error, not nothing.
Result<Kind> KindOf(const fs::path& path) {
  struct stat info;
  const bool is_there = lstat(path.c_str(), &info) == 0;
  if (!is_there && (errno == ENOENT || errno == ENOTDIR)) return Kind::kMissing;
  if (!is_there || stat(path.c_str(), &info) != 0) {
    return FailErrno(errno, "cannot read what the pattern matches", {.object = path.string()});
  }
  return S_ISDIR(info.st_mode) ? Kind::kFolder : Kind::kOther;
}

// Every path below `prefix` that matches components[at…]; no folders at the end.
Status Expand(const fs::path& prefix, const std::vector<std::string>& components, size_t at,
              int depth, std::vector<std::string>* found) {
  if (depth > kMaxDepth) {
    return Fail(Fault::kInput, "folders are nested too deeply", {.object = prefix.string()},
                "Look for a link that points to a folder above it, or write a narrower pattern.");
  }
  if (at < components.size() && IsLiteral(prefix, components[at])) {
    return Expand(prefix / components[at], components, at + 1, depth, found);
  }
  ARROW_ASSIGN_OR_RAISE(const Kind kind, KindOf(prefix));
  if (at == components.size()) {
    if (kind == Kind::kOther) found->push_back(prefix.string());
    return Status::OK();
  }
  if (kind != Kind::kFolder) return Status::OK();

  const std::string& component = components[at];
  const bool any_depth = component == "**";
  if (any_depth) ARROW_RETURN_NOT_OK(Expand(prefix, components, at + 1, depth, found));
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(prefix.string()));
  for (const std::string& name : names) {
    if (any_depth) {
      if (name[0] == '.') continue;
      ARROW_ASSIGN_OR_RAISE(const Kind below, KindOf(prefix / name));
      if (below != Kind::kFolder) continue;
      ARROW_RETURN_NOT_OK(Expand(prefix / name, components, at, depth + 1, found));
    } else if (fnmatch(component.c_str(), name.c_str(), FNM_PERIOD) == 0) {
      ARROW_RETURN_NOT_OK(Expand(prefix / name, components, at + 1, depth + 1, found));
    }
  }
  return Status::OK();
}

}  // namespace

Result<Object> Stat(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return FailErrno(errno, "cannot read the input", {.object = path});
  if (S_ISDIR(info.st_mode)) {
    return Fail(Fault::kInput, "the input is a folder, not a file", {.object = path},
                "Name its files, for example with a pattern: " + path + "/*.csv.gz");
  }
  if (!S_ISREG(info.st_mode)) {
    return Fail(Fault::kInput, "the input is no regular file: a pipe or a device is read only once",
                {.object = path}, "Write it to a file first, then name that.");
  }
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  return Object{.uri = path,
                .size_bytes = info.st_size,
                .mtime_ns = info.st_mtim.tv_sec * kNanosecondsPerSecond + info.st_mtim.tv_nsec,
                .ctime_ns = info.st_ctim.tv_sec * kNanosecondsPerSecond + info.st_ctim.tv_nsec,
                .inode = info.st_ino};
}

Json ToJson(const Object& object) {
  if (object.generation != 0) {
    return {
        {"uri", object.uri}, {"size_bytes", object.size_bytes}, {"generation", object.generation}};
  }
  return {{"uri", object.uri},
          {"size_bytes", object.size_bytes},
          {"mtime_ns", object.mtime_ns},
          {"ctime_ns", object.ctime_ns},
          {"inode", object.inode}};
}

Result<Object> ObjectFromJson(const Json& json) {
  Object object;
  ARROW_ASSIGN_OR_RAISE(object.uri, Member<std::string>(json, "uri", "object"));
  ARROW_ASSIGN_OR_RAISE(object.size_bytes, Member<int64_t>(json, "size_bytes", object.uri));
  if (json.contains("generation")) {
    ARROW_ASSIGN_OR_RAISE(object.generation, Member<int64_t>(json, "generation", object.uri));
    return object;
  }
  ARROW_ASSIGN_OR_RAISE(object.mtime_ns, Member<int64_t>(json, "mtime_ns", object.uri));
  ARROW_ASSIGN_OR_RAISE(object.ctime_ns, Member<int64_t>(json, "ctime_ns", object.uri));
  ARROW_ASSIGN_OR_RAISE(object.inode, Member<uint64_t>(json, "inode", object.uri));
  return object;
}

Result<std::vector<Object>> List(const std::vector<std::string>& patterns,
                                 const std::string& base) {
  std::vector<Object> objects;
  std::set<std::string> seen;
  for (const std::string& pattern : patterns) {
    const std::string full = (fs::path(base) / pattern).lexically_normal().string();
    std::vector<std::string> paths;
    if (!HasWildcard(full)) {
      paths.push_back(full);
    } else {
      ARROW_RETURN_NOT_OK(Expand("/", Components(full), 0, 0, &paths));
      std::sort(paths.begin(), paths.end());
      if (paths.empty()) {
        return Fail(Fault::kInput, "no file matches the pattern", {.object = full},
                    "Check the folder and the pattern; relative ones start at " + base + ".");
      }
    }
    for (const std::string& path : paths) {
      if (!seen.insert(path).second) continue;
      ARROW_ASSIGN_OR_RAISE(auto object, Stat(path));
      objects.push_back(std::move(object));
    }
  }
  return objects;
}

}  // namespace hayate::source
