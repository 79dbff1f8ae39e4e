#include "hayate/cli/command.h"
#include "hayate/worker/native_worker.h"

namespace hayate::cli {

void AddWorker(CLI::App* app, Action* action) {
  CLI::App* command = app->add_subcommand("worker", "A child of a run; started by it");
  command->group("");
  command->add_flag("--native")->required();
  command->callback([=] { *action = [] { return worker::RunNativeWorker(); }; });
}

}  // namespace hayate::cli
