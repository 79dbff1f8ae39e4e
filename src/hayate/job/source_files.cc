#include "hayate/job/source_files.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "hayate/frame/manifest.h"

namespace hayate::job {
namespace {

// Coarser than the kernel's tick, by which files are stamped.
constexpr int64_t kRacyNs = 20'000'000;

std::string NameOf(const std::string& path, const std::string& job_dir) {
  const std::string prefix = job_dir + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

using Recorded = std::multimap<std::string, FileRecord>;  // by path

Result<std::vector<FileRecord>> FilesOfFrame(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto manifest, frame::ReadManifest(dir));
  const auto found = manifest.extra.find("files");
  if (found == manifest.extra.end()) return std::vector<FileRecord>();
  return FilesFromJson(*found, dir);
}

Result<Recorded> ReadRecorded(const std::string& name, const Store& store,
                              std::vector<std::string>* warnings) {
  Recorded recorded;
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  for (const StoredFrame& stored : frames) {
    if (stored.name != name || !stored.committed) continue;
    auto files = FilesOfFrame(stored.dir);
    if (!files.ok()) {
      warnings->push_back("a stored frame of " + name + " does not count, in " + stored.dir + ": " +
                          files.status().message());
      continue;
    }
    for (FileRecord& file : *files) {
      std::string path = file.object.uri;
      recorded.emplace(std::move(path), std::move(file));
    }
  }
  return recorded;
}

// Takes over digest and checksum of the record that `fits`; false if there is none.
template <typename Fits>
bool Adopt(const Recorded& recorded, const Fits& fits, FileRecord* file) {
  const auto [begin, end] = recorded.equal_range(file->object.uri);
  const auto found = std::find_if(begin, end, [&](const auto& one) { return fits(one.second); });
  if (found == end) return false;
  file->digest = found->second.digest;
  file->checksum = found->second.checksum;
  return true;
}

}  // namespace

Result<std::vector<FileRecord>> FindFiles(const Node& source, const std::string& job_dir,
                                          const Store& store, const Checksums& checksums,
                                          std::vector<std::string>* warnings) {
  ARROW_ASSIGN_OR_RAISE(auto objects, source::List(source.paths, job_dir));
  ARROW_ASSIGN_OR_RAISE(const Recorded recorded, ReadRecorded(source.name, store, warnings));
  std::vector<FileRecord> files;
  std::vector<size_t> unsure;
  for (source::Object& object : objects) {
    FileRecord file;
    file.name = NameOf(object.uri, job_dir);
    file.object = std::move(object);
    file.digest = StatDigest(file.object);
    const auto same_stat = [&](const FileRecord& one) { return SameStat(one.object, file.object); };
    const auto same_size = [&](const FileRecord& one) {
      return !one.checksum.empty() && one.object.size_bytes == file.object.size_bytes;
    };
    if (!Adopt(recorded, same_stat, &file)) {
      const auto [begin, end] = recorded.equal_range(file.object.uri);
      if (std::any_of(begin, end, [&](const auto& one) { return same_size(one.second); })) {
        unsure.push_back(files.size());
      }
    }
    files.push_back(std::move(file));
  }
  if (unsure.empty()) return files;
  std::vector<source::Object> asked;
  for (const size_t i : unsure) asked.push_back(files[i].object);
  ARROW_ASSIGN_OR_RAISE(const auto sums, checksums(asked));
  for (size_t i = 0; i < unsure.size() && i < sums.size(); ++i) {
    FileRecord& file = files[unsure[i]];
    const auto same_content = [&](const FileRecord& one) {
      return one.checksum == sums[i] && one.object.size_bytes == file.object.size_bytes;
    };
    if (!Adopt(recorded, same_content, &file)) file.checksum = sums[i];
  }
  return files;
}

Status CheckUnchanged(const std::vector<FileRecord>& files) {
  for (const FileRecord& file : files) {
    // As a pattern the path may have magic characters; its folder is listed for the very file.
    ARROW_ASSIGN_OR_RAISE(const auto now, source::Stat(file.object.uri));
    if (SameStat(now, file.object)) continue;
    return Fail(Fault::kInput, "the file changed while it was read", {.object = file.object.uri},
                "Run again once nothing writes to it.");
  }
  return Status::OK();
}

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void ForgetRacyTimes(int64_t listed_ns, std::vector<FileRecord>* files) {
  for (FileRecord& file : *files) {
    if (std::max(file.object.mtime_ns, file.object.ctime_ns) > listed_ns - kRacyNs) {
      file.object.mtime_ns = 0;
    }
  }
}

}  // namespace hayate::job
