#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "hayate/cli/command.h"
#include "hayate/job/graph.h"
#include "hayate/job/history.h"
#include "hayate/job/plan.h"
#include "hayate/job/run.h"
#include "hayate/job/session.h"
#include "hayate/observe/stage_line.h"

namespace hayate::cli {
namespace {

struct PlanArguments {
  std::string job;
  std::vector<std::string> set;
  std::string store;
  job::PlanOptions plan;
};

const char* StateWord(job::PlannedNode::State state) {
  switch (state) {
    case job::PlannedNode::State::kRun:
      return "run";
    case job::PlannedNode::State::kKept:
      return "keep";
    case job::PlannedNode::State::kUnused:
      return "-";
  }
  return "-";
}

void Print(const job::Description& description, const job::Graph& graph, const job::Plan& plan,
           const std::map<std::string, double>& seconds) {
  int width = 0;
  for (const job::Node& node : description.nodes) {
    width = std::max(width, observe::DisplayWidth(node.name));
  }
  double known = 0;
  for (const int64_t index : graph.order()) {
    const job::Node& node = description.nodes[static_cast<size_t>(index)];
    const job::PlannedNode& planned = plan.nodes[static_cast<size_t>(index)];
    std::string took;
    const auto last = seconds.find(node.name);
    if (planned.state == job::PlannedNode::State::kRun && last != seconds.end()) {
      took = " (took " + observe::ShortTime(last->second) + " last time)";
      known += last->second;
    }
    std::printf("%s%*s  %-4s  %s%s\n", node.name.c_str(), width - observe::DisplayWidth(node.name),
                "", StateWord(planned.state), planned.reason.c_str(), took.c_str());
  }
  std::printf("%lld of %zu to run", static_cast<long long>(plan.CountToRun()), plan.nodes.size());
  if (known > 0) std::printf(", about %s by the last runs", observe::ShortTime(known).c_str());
  std::printf("\n");
}

Status MakePlan(const PlanArguments& arguments, int* signal) {
  job::SessionOptions options;
  ARROW_ASSIGN_OR_RAISE(options.job, job::FindJob(arguments.job));
  ARROW_ASSIGN_OR_RAISE(options.set, ParsePairs("--set", arguments.set));
  options.python = Python();
  const job::Store store(job::StoreRoot(options.job, arguments.store));
  ARROW_ASSIGN_OR_RAISE(const auto session, job::Session::Make(options));
  const auto ask = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto description, session->Describe());
    ARROW_ASSIGN_OR_RAISE(const auto graph, job::Graph::Make(description));
    job::PlanReads reads;
    reads.checksums = [&](const std::vector<source::Object>& objects) {
      return session->ComputeChecksums(objects);
    };
    reads.verify = [&](const std::string& dir) { return session->VerifyFrame(dir); };
    ARROW_ASSIGN_OR_RAISE(const auto plan,
                          job::Plan::Make(description, graph, store, arguments.plan, reads));
    for (const std::string& warning : plan.warnings) {
      std::fprintf(stderr, "hayate: warning: %s\n", warning.c_str());
    }
    // Without a history there are no times, which is no reason to fail.
    const auto seconds = job::LastSeconds(store.history_path(), options.job);
    Print(description, graph, plan, seconds.ok() ? *seconds : std::map<std::string, double>());
    return Status::OK();
  };
  const Status status = ask();
  *signal = session->pool()->last_signal();
  return status;
}

int PlanCommand(const PlanArguments& arguments) {
  int signal = 0;
  const Status status = MakePlan(arguments, &signal);
  Report(status);
  return CodeOf(status, signal);
}

}  // namespace

void AddPlan(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command =
      app->add_subcommand("plan", "Say what would run and why, a line each; nothing is run");
  command->add_option("job", arguments->job, "Job file")->required()->type_name("JOB.py");
  command->add_option("target", arguments->plan.targets, "Stages that are wanted (default: all)")
      ->type_name("STAGE");
  command->add_option("--set", arguments->set, "A parameter of the job, repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--from", arguments->plan.from, "As in run")
      ->type_name("STAGE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--fresh", arguments->plan.fresh, "As in run");
  command->add_option("--store", arguments->store, "As in run")->type_name("DIR");
  command->footer(
      "Example: hayate plan job.py --set day=2026-11-24\n"
      "Exit codes: 0 planned, 1 failed, 2 wrong use, 130 and 143 interrupted.");
  command->callback([=] { *action = [=] { return PlanCommand(*arguments); }; });
}

}  // namespace hayate::cli
