#include <unistd.h>

#include <cerrno>
#include <memory>

#include "hayate/cli/command.h"

namespace hayate::cli {
namespace {

// Where the package itself cannot be imported, that is what has to be said.
constexpr const char* kProgram = R"(
import sys
try:
    from hayate.doctor.__main__ import main
except ImportError as error:
    sys.exit(
        f"hayate: error: {sys.executable} cannot import hayate: {error}\n"
        "  fix:   Set HAYATE_PYTHON to the Python that hayate is installed for."
    )
sys.exit(main(sys.argv[1:]))
)";

struct DoctorArguments {
  std::string job;
  std::vector<std::string> set;
  std::vector<std::string> buckets;
  std::vector<std::string> datasets;
  std::string store;
  std::string project;
  std::string location;
  std::string save;
  bool probe = false;
  bool json = false;
};

std::vector<std::string> WordsOf(const DoctorArguments& arguments) {
  std::vector<std::string> words;
  // In one word: a value may begin with a dash.
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.push_back(std::string(option) + "=" + value);
  };
  for (const std::string& pair : arguments.set) add("--set", pair);
  for (const std::string& bucket : arguments.buckets) add("--bucket", bucket);
  for (const std::string& dataset : arguments.datasets) add("--dataset", dataset);
  add("--store", arguments.store);
  add("--project", arguments.project);
  add("--location", arguments.location);
  add("--save", arguments.save);
  if (arguments.probe) words.emplace_back("--probe");
  if (arguments.json) words.emplace_back("--json");
  if (!arguments.job.empty()) {
    words.emplace_back("--");
    words.push_back(arguments.job);
  }
  return words;
}

// Returns only if Python cannot be started: it takes the process over, signals and all.
int DoctorCommand(const DoctorArguments& arguments) {
  // -P: the working directory is not searched for modules.
  std::vector<std::string> words = {Python(), "-P", "-c", kProgram};
  for (std::string& word : WordsOf(arguments)) words.push_back(std::move(word));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return Report(FailErrno(errno, "Python cannot be started", {.object = words[0]}));
}

}  // namespace

void AddDoctor(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = app->add_subcommand(
      "doctor", "Look at the machine, Python, credentials, buckets and a job, and say what to do");
  command->add_option("job", arguments->job, "Job file, whose sources and store are looked at")
      ->type_name("JOB.py");
  command->add_option("--set", arguments->set, "A parameter of the job, repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--store", arguments->store, "As in run")->type_name("DIR");
  command->add_option("--bucket", arguments->buckets, "A bucket or folder of exports, repeated")
      ->type_name("gs://BUCKET")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--dataset", arguments->datasets, "A dataset of BigQuery, repeated")
      ->type_name("PROJECT.DATASET")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--project", arguments->project,
                   "Where queries run (default: that of the credentials)")
      ->type_name("PROJECT");
  command->add_option("--location", arguments->location, "Of queries: US, EU, asia-northeast1, …")
      ->type_name("LOCATION");
  command->add_flag("--probe", arguments->probe,
                    "Export a few awkward values to the bucket, and compare what BigQuery writes; "
                    "costs one small query that reads no table");
  command->add_option("--save", arguments->save, "Where the probe's files go (default: the store)")
      ->type_name("DIR");
  command->add_flag("--json", arguments->json, "Print the findings as JSON");
  command->footer(
      "Example: hayate doctor job.py --set day=2026-11-24\n"
      "         hayate doctor --bucket gs://shop-tokyo/tmp --dataset shop.clicks --probe\n"
      "Exit codes: 0 nothing is wrong (there may be advice), 1 a problem, 2 wrong use, 130 and "
      "143\n"
      "interrupted.");
  command->callback([=] { *action = [=] { return DoctorCommand(*arguments); }; });
}

}  // namespace hayate::cli
