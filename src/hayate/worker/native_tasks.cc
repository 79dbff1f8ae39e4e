#include "hayate/worker/native_tasks.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hayate/csv/options.h"
#include "hayate/frame/manifest.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/output/output.h"
#include "hayate/shuffle/shuffle.h"
#include "hayate/source/source.h"

namespace hayate::worker {
namespace {

constexpr const char* kTask = "a task";

template <typename T>
T Optional(const Json& object, const char* key, T fallback) {
  const bool given = object.is_object() && object.contains(key) && !object[key].is_null();
  return given ? Member<T>(object, key, kTask).ValueOr(std::move(fallback)) : fallback;
}

Json Summary(const std::string& dir, const frame::Manifest& manifest) {
  Json columns = Json::array();
  if (manifest.is_table()) {
    // The manifest's own words for its schema: Arrow's types stay behind frame/.
    const Json written = ToJson(manifest);
    if (written.contains("schema") && written["schema"].contains("columns")) {
      columns = written["schema"]["columns"];
    }
  }
  return {{"dir", dir},
          {"rows", manifest.rows},
          {"bytes", manifest.bytes},
          {"parts", manifest.parts.size()},
          {"table", manifest.is_table()},
          {"columns", std::move(columns)}};
}

Result<std::vector<source::Object>> Objects(const Json& task) {
  ARROW_ASSIGN_OR_RAISE(const auto list, Member<std::vector<Json>>(task, "objects", kTask));
  std::vector<source::Object> objects;
  objects.reserve(list.size());
  for (const Json& item : list) {
    ARROW_ASSIGN_OR_RAISE(source::Object object, source::ObjectFromJson(item));
    objects.push_back(std::move(object));
  }
  return objects;
}

// Commits `dir` as `commit` says, with what the task itself has to warn of.
Result<NativeResult> CommitFrame(const std::string& dir, const Json& commit,
                                 std::vector<std::string> warnings) {
  frame::CommitOptions options;
  ARROW_ASSIGN_OR_RAISE(options.name, Member<std::string>(commit, "name", "a commit"));
  ARROW_ASSIGN_OR_RAISE(options.key, Member<std::string>(commit, "key", "a commit"));
  options.key_parts = Optional<Json>(commit, "key_parts", Json::object());
  options.expected_parts = Optional<int64_t>(commit, "expected_parts", -1);
  options.min_rows = Optional<int64_t>(commit, "min_rows", 0);
  options.extra = Optional<Json>(commit, "extra", Json::object());
  options.warnings = std::move(warnings);
  // Nothing waits for the disk: a `sync` task follows where the frame has to outlive the machine.
  options.durable = false;
  ARROW_ASSIGN_OR_RAISE(const frame::Manifest manifest, frame::Commit(dir, options));
  return NativeResult{Summary(dir, manifest), manifest.warnings};
}

// What this task has already committed, where its first worker died afterwards.
Result<std::optional<NativeResult>> FindDone(const std::string& dir, const Json& commit) {
  ARROW_ASSIGN_OR_RAISE(const auto key, Member<std::string>(commit, "key", "a commit"));
  ARROW_ASSIGN_OR_RAISE(const auto manifest, frame::FindCommitted(dir, key));
  if (!manifest) return std::nullopt;
  return NativeResult{Summary(dir, *manifest), manifest->warnings};
}

Result<NativeResult> RunIngest(const Json& task, ProgressSender* progress) {
  ARROW_ASSIGN_OR_RAISE(const auto objects, Objects(task));
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "dir", kTask));
  ARROW_ASSIGN_OR_RAISE(const auto commit, Member<Json>(task, "commit", kTask));
  ARROW_ASSIGN_OR_RAISE(auto done, FindDone(dir, commit));
  if (done) return *std::move(done);
  ingest::IngestOptions options;
  ARROW_ASSIGN_OR_RAISE(options.csv,
                        csv::ReadOptionsFromJson(Optional<Json>(task, "options", Json::object()),
                                                 Optional<std::string>(commit, "name", "options")));
  options.format = Optional<std::string>(task, "format", "auto");
  options.threads = std::max(1, Optional<int>(task, "threads", 1));
  options.allow_empty = Optional<bool>(task, "allow_empty", false);
  options.min_rows = Optional<int64_t>(task, "min_rows", 0);
  options.progress = [progress](const ingest::IngestProgress& at) {
    return progress->Send({{"rows", at.rows},
                           {"bytes_read", at.bytes_read},
                           {"bytes_total", at.bytes_total},
                           {"text_bytes", at.text_bytes}});
  };
  ARROW_ASSIGN_OR_RAISE(ingest::IngestResult ingested,
                        ingest::IngestToParts(objects, options, dir));
  ARROW_ASSIGN_OR_RAISE(const auto key, Member<std::string>(commit, "key", "a commit"));
  ARROW_ASSIGN_OR_RAISE(const int64_t put_aside,
                        ingest::CommitQuarantine(dir, key, /*durable=*/false));
  if (put_aside > 0) {
    ingested.warnings.push_back("to see what was put aside: hayate convert " + dir + "/" +
                                ingest::kQuarantineFolder + " bad-rows.csv");
  }
  return CommitFrame(dir, commit, std::move(ingested.warnings));
}

Result<NativeResult> RunShuffle(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto input, Member<std::string>(task, "frame", kTask));
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "dir", kTask));
  ARROW_ASSIGN_OR_RAISE(const auto commit, Member<Json>(task, "commit", kTask));
  ARROW_ASSIGN_OR_RAISE(auto done, FindDone(dir, commit));
  if (done) return *std::move(done);
  shuffle::ShuffleOptions options;
  ARROW_ASSIGN_OR_RAISE(options.columns, Member<std::vector<std::string>>(task, "columns", kTask));
  ARROW_ASSIGN_OR_RAISE(options.partitions, Member<int64_t>(task, "partitions", kTask));
  options.with_row_numbers = Optional<bool>(task, "with_row_numbers", false);
  options.threads = std::max(1, Optional<int>(task, "threads", 1));
  ARROW_ASSIGN_OR_RAISE(const auto reader, frame::FrameReader::Open(input));
  ARROW_RETURN_NOT_OK(shuffle::ShuffleParts(*reader, options, dir));
  return CommitFrame(dir, commit, {});
}

Result<NativeResult> RunCommit(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "dir", kTask));
  ARROW_ASSIGN_OR_RAISE(const auto commit, Member<Json>(task, "commit", kTask));
  return CommitFrame(dir, commit, {});
}

Result<NativeResult> RunConsolidate(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "frame", kTask));
  ARROW_ASSIGN_OR_RAISE(const std::string path,
                        frame::Consolidate(dir, std::max(1, Optional<int>(task, "threads", 1))));
  return NativeResult{{{"path", path}}};
}

Result<NativeResult> RunOutput(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "frame", kTask));
  ARROW_ASSIGN_OR_RAISE(const auto path, Member<std::string>(task, "path", kTask));
  output::OutputOptions options;
  options.format = Optional<std::string>(task, "format", "");
  options.threads = std::max(1, Optional<int>(task, "threads", 1));
  ARROW_ASSIGN_OR_RAISE(const auto reader, frame::FrameReader::Open(dir));
  ARROW_ASSIGN_OR_RAISE(const auto written, output::WriteFrame(*reader, path, options));
  return NativeResult{{{"rows", written.rows}, {"bytes", written.bytes}, {"path", path}}};
}

Result<NativeResult> RunChecksum(const Json& task, ProgressSender* progress) {
  ARROW_ASSIGN_OR_RAISE(const auto objects, Objects(task));
  int64_t total = 0;
  for (const source::Object& object : objects) total += object.size_bytes;
  int64_t done = 0;
  Json checksums = Json::array();
  for (const source::Object& object : objects) {
    ARROW_ASSIGN_OR_RAISE(std::string checksum, source::ContentChecksum(object.uri));
    checksums.push_back(std::move(checksum));
    done += object.size_bytes;
    if (!progress->Send({{"bytes_read", done}, {"bytes_total", total}})) {
      return Fail(Fault::kInterrupted, "the supervisor is gone");
    }
  }
  return NativeResult{{{"checksums", std::move(checksums)}}};
}

Result<NativeResult> RunVerify(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "frame", kTask));
  ARROW_RETURN_NOT_OK(frame::Verify(dir));
  return NativeResult{};
}

Result<NativeResult> RunSync(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "frame", kTask));
  ARROW_RETURN_NOT_OK(ingest::MakeQuarantineDurable(dir));
  ARROW_RETURN_NOT_OK(frame::MakeDurable(dir));
  return NativeResult{};
}

Result<NativeResult> RunCheckParts(const Json& task, ProgressSender*) {
  ARROW_ASSIGN_OR_RAISE(const auto dir, Member<std::string>(task, "dir", kTask));
  ARROW_RETURN_NOT_OK(frame::CheckParts(dir));
  return NativeResult{};
}

using Runner = Result<NativeResult> (*)(const Json&, ProgressSender*);

constexpr std::array<std::pair<const char*, Runner>, 9> kRunners = {{
    {"ingest", RunIngest},
    {"shuffle", RunShuffle},
    {"commit", RunCommit},
    {"consolidate", RunConsolidate},
    {"output", RunOutput},
    {"checksum", RunChecksum},
    {"verify", RunVerify},
    {"sync", RunSync},
    {"check_parts", RunCheckParts},
}};

}  // namespace

Result<NativeResult> RunNativeTask(const Json& task, ProgressSender* progress) {
  ARROW_ASSIGN_OR_RAISE(const auto kind, Member<std::string>(task, "kind", kTask));
  for (const auto& [name, run] : kRunners) {
    if (kind == name) return run(task, progress);
  }
  return Fail(Fault::kInternal, "a native worker knows no task of kind \"" + kind + "\"");
}

}  // namespace hayate::worker
