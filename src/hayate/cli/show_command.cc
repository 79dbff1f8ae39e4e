#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/cli/command.h"
#include "hayate/cli/find_frame.h"
#include "hayate/frame/reader.h"
#include "hayate/job/store.h"
#include "hayate/observe/stage_line.h"
#include "hayate/output/preview.h"

namespace hayate::cli {
namespace {

constexpr int64_t kMaxShownValueBytes = 64 * 1024;

struct ShowArguments {
  std::string frame;
  std::string job;
  std::string store;
  int64_t rows = 10;
};

Status ShowValues(const std::string& dir, const frame::Manifest& manifest) {
  for (const frame::Part& part : manifest.parts) {
    std::printf("%s: %s, %sB\n", part.file.c_str(), part.codec.c_str(),
                observe::ShortCount(part.bytes).c_str());
    if (part.codec != "json" || part.bytes > kMaxShownValueBytes) continue;
    ARROW_ASSIGN_OR_RAISE(const auto text,
                          ReadFile((std::filesystem::path(dir) / part.file).string()));
    std::printf("%s\n", text.c_str());
  }
  return Status::OK();
}

void ShowSchema(const frame::Manifest& manifest) {
  const Json written = ToJson(manifest);
  const Json columns =
      written.contains("schema") ? written["schema"].value("columns", Json()) : Json();
  if (!columns.is_array()) return;
  for (const Json& column : columns) {
    // [name, type], or an object with both, as the manifest writes it.
    const Json name = column.is_array() ? column[0] : column.value("name", Json());
    const Json type = column.is_array() ? column[1] : column.value("type", Json());
    std::printf("  %s: %s\n", name.is_string() ? name.get<std::string>().c_str() : "?",
                type.is_string() ? type.get<std::string>().c_str() : ToCanonicalText(type).c_str());
  }
}

Status Show(const ShowArguments& arguments) {
  const job::Store store(StoreOf(arguments.store, arguments.job));
  ARROW_ASSIGN_OR_RAISE(const auto dir, FindFrame(store, arguments.frame));
  ARROW_ASSIGN_OR_RAISE(const auto manifest, frame::ReadManifest(dir));
  std::printf("%s  %s\n", manifest.name.c_str(), dir.c_str());
  for (const std::string& warning : manifest.warnings) {
    std::printf("warning: %s\n", warning.c_str());
  }
  if (!manifest.is_table()) return ShowValues(dir, manifest);
  std::printf("%s rows, %zu parts, %sB, made %s\n", WithCommas(manifest.rows).c_str(),
              manifest.parts.size(), observe::ShortCount(manifest.bytes).c_str(),
              manifest.created.c_str());
  ShowSchema(manifest);
  if (arguments.rows <= 0) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto reader, frame::FrameReader::Open(dir));
  ARROW_ASSIGN_OR_RAISE(const auto rows, output::FormatFirstRows(*reader, arguments.rows));
  std::printf("\n%s", rows.c_str());
  return Status::OK();
}

}  // namespace

void AddShow(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<ShowArguments>();
  CLI::App* command = app->add_subcommand("show", "Show a frame: schema, rows, first rows");
  command->add_option("frame", arguments->frame, "A frame's folder, or its name in the store")
      ->required()
      ->type_name("FRAME");
  command->add_option("--store", arguments->store, "The store (default: .hayate here)")
      ->type_name("DIR");
  command->add_option("--job", arguments->job, "The store beside this job file")
      ->type_name("JOB.py");
  command->add_option("-n,--rows", arguments->rows, "Rows to show (default: 10)")->type_name("N");
  command->footer(
      "Example: hayate show features --rows 5\n"
      "Exit codes: 0 done, 1 failed, 2 wrong use.");
  command->callback([=] { *action = [=] { return Report(Show(*arguments)); }; });
}

}  // namespace hayate::cli
