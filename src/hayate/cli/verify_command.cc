#include <cstdio>
#include <filesystem>
#include <memory>

#include "hayate/cli/command.h"
#include "hayate/cli/find_frame.h"
#include "hayate/frame/reader.h"
#include "hayate/job/store.h"

namespace hayate::cli {
namespace {

struct VerifyArguments {
  std::vector<std::string> frames;
  std::string store;
};

// All of them are checked; the first that is damaged is the error.
Status Verify(const VerifyArguments& arguments) {
  std::vector<std::string> dirs;
  const job::Store store(StoreOf(arguments.store, ""));
  for (const std::string& name : arguments.frames) {
    ARROW_ASSIGN_OR_RAISE(dirs.emplace_back(), FindFrame(store, name));
  }
  if (arguments.frames.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto stored, store.Frames());
    for (const job::StoredFrame& frame : stored) {
      if (frame.committed) dirs.push_back(frame.dir);
    }
    if (dirs.empty()) std::printf("no frames in %s\n", store.root().c_str());
  }
  Status first;
  for (const std::string& dir : dirs) {
    Status status = frame::Verify(dir);
    std::printf("%s  %s\n", status.ok() ? "ok     " : "damaged", dir.c_str());
    if (first.ok()) first = std::move(status);
  }
  return first;
}

}  // namespace

void AddVerify(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command =
      app->add_subcommand("verify", "Compare every byte of frames with their checksums");
  command->add_option("frame", arguments->frames, "Names or folders (default: the whole store)")
      ->type_name("FRAME");
  command->add_option("--store", arguments->store, "The store (default: .hayate here)")
      ->type_name("DIR");
  command->footer(
      "Example: hayate verify --store .hayate\n"
      "Exit codes: 0 all is whole, 1 something is damaged, 2 wrong use.");
  command->callback([=] { *action = [=] { return Report(Verify(*arguments)); }; });
}

}  // namespace hayate::cli
