#include "hayate/cli/command.h"
#include "hayate/job/map_pool.h"

namespace hayate::cli {

void AddPool(CLI::App* app, Action* action) {
  CLI::App* command = app->add_subcommand("pool", "What hy.map starts");
  command->group("");
  command->callback([=] { *action = [] { return Report(job::RunMapPool(Python())); }; });
}

}  // namespace hayate::cli
