#include <cstdio>
#include <cstdlib>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/cli/command.h"
#include "hayate/job/run.h"
#include "hayate/job/summary.h"
#include "hayate/worker/channel.h"

namespace hayate::cli {
namespace {

struct RunArguments {
  std::string job;
  std::vector<std::string> set;
  job::RunOptions run;
  bool no_wait = false;
};

Result<job::RunOptions> ToOptions(const RunArguments& arguments) {
  job::RunOptions options = arguments.run;
  ARROW_ASSIGN_OR_RAISE(options.session.job, job::FindJob(arguments.job));
  ARROW_ASSIGN_OR_RAISE(options.session.set, ParsePairs("--set", arguments.set));
  options.session.python = Python();
  options.wait = !arguments.no_wait;
  return options;
}

// For a program that started us (hy.run): how it went, whole or not at all.
Status LeaveResult(const job::RunRecord& record) {
  const char* path = std::getenv("HAYATE_RESULT");
  if (path == nullptr || *path == '\0') return Status::OK();
  return WriteFileAtomically(path, ToCanonicalText(record.ToJson()));
}

Status Run(const RunArguments& arguments, job::RunRecord* record) {
  ARROW_ASSIGN_OR_RAISE(const auto options, ToOptions(arguments));
  observe::Progress progress;
  return job::RunJob(options, &progress, record);
}

int RunCommand(const RunArguments& arguments) {
  job::RunRecord record;
  Status status = Run(arguments, &record);
  if (!status.ok() && record.error.is_null()) {
    record.status = "failed";
    record.error = worker::ErrorToJson(status);
  }
  const Status left = LeaveResult(record);
  if (status.ok()) status = left;
  if (status.ok()) {
    std::fputs(job::FormatSummary(record).c_str(), stderr);
  } else if (!record.id.empty()) {
    std::fprintf(stderr, "hayate: %s; log: %s/runs/%s/log\n", record.status.c_str(),
                 record.store.c_str(), record.id.c_str());
  }
  Report(status);
  return CodeOf(status, record.signal);
}

}  // namespace

void AddRun(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app->add_subcommand("run", "Run what of a job is missing or has changed");
  command->add_option("job", arguments->job, "Job file")->required()->type_name("JOB.py");
  command
      ->add_option("target", arguments->run.plan.targets, "Stages that are wanted (default: all)")
      ->type_name("STAGE");
  command->add_option("--set", arguments->set, "A parameter of the job, repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--from", arguments->run.plan.from,
                   "Run this stage again, with all that depends on it")
      ->type_name("STAGE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--fresh", arguments->run.plan.fresh, "Run everything again");
  command->add_option("-j,--jobs", arguments->run.slots, "Cores to use (default: all there are)")
      ->type_name("N")
      ->check(AtLeastOne());
  command
      ->add_option("--memory", arguments->run.memory_bytes,
                   "What all processes of the run may hold (default: the container's limit, or the "
                   "machine's memory)")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  command->add_flag("--no-wait", arguments->no_wait,
                    "End with exit code 1 if another run holds the store");
  command
      ->add_option("--store", arguments->run.store,
                   "Where frames are kept (default: .hayate "
                   "beside the job file)")
      ->type_name("DIR");
  command
      ->add_option("--keep-runs", arguments->run.keep_runs,
                   "How many runs' frames stay after a success (default: 3)")
      ->type_name("N")
      ->check(AtLeastOne());
  command->footer(
      "Example: hayate run job.py --set day=2026-11-24\n"
      "Exit codes: 0 done, 1 the job failed, 2 wrong use, 130 and 143 interrupted (SIGINT, "
      "SIGTERM):\n"
      "what was finished is kept, and the same command goes on.");
  command->callback([=] { *action = [=] { return RunCommand(*arguments); }; });
}

}  // namespace hayate::cli
