#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>

#include "hayate/cli/command.h"
#include "hayate/frame/manifest.h"
#include "hayate/frame/writer.h"
#include "hayate/job/store.h"
#include "hayate/observe/stage_line.h"

namespace hayate::cli {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

std::string LocalTime(int64_t ns) {
  const auto seconds = static_cast<std::time_t>(ns / kNsPerSecond);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &local);
  return text.data();
}

Result<std::string> What(const job::StoredFrame& frame) {
  if (!frame.committed) {
    ARROW_ASSIGN_OR_RAISE(const auto parts, frame::FinishedParts(frame.dir));
    return "unfinished, " + std::to_string(parts.size()) + " parts";
  }
  ARROW_ASSIGN_OR_RAISE(const auto manifest, frame::ReadManifest(frame.dir));
  const std::string size = observe::ShortCount(manifest.bytes) + "B";
  if (!manifest.is_table()) {
    return size + ", " + std::to_string(manifest.parts.size()) +
           (manifest.parts.size() == 1 ? " value (" : " values (") +
           (manifest.parts.empty() ? "" : manifest.parts.front().codec) + ")";
  }
  return size + ", " + WithCommas(manifest.rows) + " rows";
}

Status Ls(const std::string& root) {
  const job::Store store(root);
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  if (frames.empty()) {
    std::printf("no frames in %s\n", root.c_str());
    return Status::OK();
  }
  int width = 0;
  for (const auto& frame : frames) width = std::max(width, observe::DisplayWidth(frame.name));
  for (const auto& frame : frames) {
    // One that cannot be read is listed with the reason: the others are of use.
    const auto what = What(frame);
    std::printf("%s%*s  %s  %s  %s\n", frame.name.c_str(),
                width - observe::DisplayWidth(frame.name), "", frame.key16.c_str(),
                LocalTime(frame.changed_ns).c_str(),
                what.ok() ? what->c_str() : what.status().message().c_str());
  }
  return Status::OK();
}

}  // namespace

void AddLs(CLI::App* app, Action* action) {
  struct Arguments {
    std::string job;
    std::string store;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app->add_subcommand("ls", "List the frames of a store");
  command->add_option("job", arguments->job, "Job file (default: the store in this folder)")
      ->type_name("JOB.py");
  command->add_option("--store", arguments->store, "The store")->type_name("DIR");
  command->footer(
      "Example: hayate ls job.py\n"
      "Exit codes: 0 done, 1 failed, 2 wrong use.");
  command->callback(
      [=] { *action = [=] { return Report(Ls(StoreOf(arguments->store, arguments->job))); }; });
}

}  // namespace hayate::cli
