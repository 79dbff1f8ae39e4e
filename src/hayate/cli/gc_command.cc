#include <cstdio>
#include <memory>

#include "hayate/cli/command.h"
#include "hayate/job/gc.h"
#include "hayate/job/store.h"
#include "hayate/job/store_lock.h"
#include "hayate/observe/stage_line.h"

namespace hayate::cli {
namespace {

struct GcArguments {
  std::string job;
  std::string store;
  int keep_runs = 3;
  bool dry_run = false;
  bool no_wait = false;
};

Status Gc(const GcArguments& arguments, int* signal) {
  const job::Store store(StoreOf(arguments.store, arguments.job));
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  if (frames.empty()) {
    std::printf("no frames in %s\n", store.root().c_str());
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(
      const auto lock,
      job::StoreLock::Take(
          store.lock_path(), !arguments.no_wait,
          [](const std::string& who) {
            std::fprintf(stderr, "hayate: a run holds the store (%s); waiting for it to end\n",
                         who.c_str());
          },
          signal));
  ARROW_ASSIGN_OR_RAISE(const auto garbage, arguments.dry_run
                                                ? job::FindGarbage(store, arguments.keep_runs)
                                                : job::CollectGarbage(store, arguments.keep_runs));
  for (const std::string& dir : garbage.dirs) std::printf("%s\n", dir.c_str());
  std::printf("%s %zu of %zu frames, %sB\n", arguments.dry_run ? "would remove" : "removed",
              garbage.dirs.size(), frames.size(), observe::ShortCount(garbage.bytes).c_str());
  return Status::OK();
}

int GcCommand(const GcArguments& arguments) {
  int signal = 0;
  const Status status = Gc(arguments, &signal);
  Report(status);
  return CodeOf(status, signal);
}

}  // namespace

void AddGc(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<GcArguments>();
  CLI::App* command = app->add_subcommand("gc", "Remove frames that no recent run needs");
  command->add_option("job", arguments->job, "Job file (default: the store in this folder)")
      ->type_name("JOB.py");
  command->add_option("--store", arguments->store, "The store")->type_name("DIR");
  command->add_option("--keep-runs", arguments->keep_runs, "How many runs count (default: 3)")
      ->type_name("N")
      ->check(AtLeastOne());
  command->add_flag("--dry-run", arguments->dry_run, "Say what would go; remove nothing");
  command->add_flag("--no-wait", arguments->no_wait, "End with exit code 1 while a run goes on");
  command->footer(
      "Example: hayate gc job.py --keep-runs 1\n"
      "Exit codes: 0 done, 1 failed or the store is in use (--no-wait), 2 wrong use.");
  command->callback([=] { *action = [=] { return GcCommand(*arguments); }; });
}

}  // namespace hayate::cli
