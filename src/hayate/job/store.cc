#include "hayate/job/store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"

namespace hayate::job {
namespace {

constexpr size_t kKeyDigits = 16;
constexpr size_t kMaxNameBytes = 200;
constexpr int64_t kNsPerSecond = 1'000'000'000;

// −1 where there is nothing.
int64_t ChangedNs(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return -1;
  return info.st_mtim.tv_sec * kNsPerSecond + info.st_mtim.tv_nsec;
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// nullopt: no directory of a frame.
std::optional<StoredFrame> FromName(const std::string& frames_dir, const std::string& file) {
  if (file.size() < kKeyDigits + 2) return std::nullopt;
  const size_t hyphen = file.size() - kKeyDigits - 1;
  StoredFrame out;
  out.key16 = file.substr(hyphen + 1);
  if (file[hyphen] != '-' || !IsHex(out.key16)) return std::nullopt;
  out.name = file.substr(0, hyphen);
  out.dir = frames_dir + "/" + file;
  out.changed_ns = ChangedNs(out.dir + "/frame.json");
  out.committed = out.changed_ns >= 0;
  if (!out.committed) out.changed_ns = ChangedNs(out.dir);
  return out;
}

}  // namespace

Store::Store(std::string root) : root_(std::move(root)) {}

std::string Store::FrameDir(const std::string& name, const std::string& key) const {
  return frames_dir() + "/" + name + "-" + key.substr(0, kKeyDigits);
}

Status Store::Create() const {
  for (const std::string& dir : {frames_dir(), runs_dir(), outputs_dir()}) {
    ARROW_RETURN_NOT_OK(MakeDirectories(dir));
  }
  return Status::OK();
}

Result<std::vector<StoredFrame>> Store::Frames() const {
  std::vector<StoredFrame> frames;
  if (!PathExists(frames_dir())) return frames;
  ARROW_ASSIGN_OR_RAISE(const auto names, ListDirectory(frames_dir()));
  for (const std::string& name : names) {
    if (auto stored = FromName(frames_dir(), name)) frames.push_back(std::move(*stored));
  }
  std::stable_sort(frames.begin(), frames.end(), [](const StoredFrame& a, const StoredFrame& b) {
    return a.name != b.name ? a.name < b.name : a.changed_ns > b.changed_ns;
  });
  return frames;
}

Result<std::optional<StoredFrame>> Store::Newest(const std::string& name) const {
  ARROW_ASSIGN_OR_RAISE(const auto frames, Frames());
  for (const StoredFrame& one : frames) {
    if (one.name == name && one.committed) return std::optional(one);
  }
  return std::optional<StoredFrame>();
}

FoundFrame Store::Find(const std::string& name, const std::string& key) const {
  const std::string dir = FrameDir(name, key);
  if (!PathExists(dir + "/frame.json")) return {};
  auto manifest = frame::ReadManifest(dir);
  if (!manifest.ok()) {
    return {.trouble = "its frame.json cannot be read (" + manifest.status().message() + ")"};
  }
  if (manifest->key != key) return {.trouble = "another result lies in its folder"};
  if (const auto part = frame::FindMissingPart(dir, *manifest)) {
    return {.trouble = "part " + std::to_string(*part) + " of its result is missing"};
  }
  return {.manifest = *std::move(manifest)};
}

std::string Store::OutputNote(const std::string& path) const {
  return outputs_dir() + "/" + HashText(path) + ".json";
}

Result<std::vector<std::string>> Store::Runs() const {
  if (!PathExists(runs_dir())) return std::vector<std::string>();
  return ListDirectory(runs_dir());
}

std::string ShuffledName(const std::string& name, const std::vector<std::string>& columns) {
  std::string out = name + "-by";
  for (const std::string& column : columns) {
    out += '-';
    for (const char c : column) {
      const bool plain =
          (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
      out += plain ? c : '_';
    }
  }
  if (out.size() > kMaxNameBytes) out.resize(kMaxNameBytes);
  return out;
}

}  // namespace hayate::job
