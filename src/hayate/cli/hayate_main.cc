#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "hayate/cli/command.h"

namespace {

// Where find_package(hayate) finds us: beside the program, wherever that was moved.
int PrintCmakeDir() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto dir = self.parent_path().parent_path() / "lib" / "cmake" / "hayate";
  if (error || !std::filesystem::exists(dir / "hayateConfig.cmake")) {
    return hayate::cli::Report(hayate::Fail(
        hayate::Fault::kUsage, "the CMake package is not installed", {.object = dir.string()},
        "Install hayate (pip install, cmake --install); this program is run from a build."));
  }
  std::printf("%s\n", dir.c_str());
  return 0;
}

int Run(int argc, char** argv) {
  CLI::App app{"hayate: slow Python machine-learning batch jobs, made fast by default", "hayate"};
  hayate::cli::Action action;
  hayate::cli::AddRun(&app, &action);
  hayate::cli::AddPlan(&app, &action);
  hayate::cli::AddConvert(&app, &action);
  hayate::cli::AddLs(&app, &action);
  hayate::cli::AddGc(&app, &action);
  hayate::cli::AddShow(&app, &action);
  hayate::cli::AddVerify(&app, &action);
  hayate::cli::AddDoctor(&app, &action);
  hayate::cli::AddWorker(&app, &action);
  hayate::cli::AddPool(&app, &action);
  app.set_version_flag("--version", HAYATE_VERSION);
  bool cmake_dir = false;
  app.add_flag("--cmake-dir", cmake_dir, "Print where the CMake package lies");
  app.require_subcommand(0, 1);
  app.footer(
      "Example: hayate run job.py --set day=2026-11-24\n"
      "Exit codes: 0 done, 1 failed, 2 wrong use, 130 and 143 interrupted (SIGINT, SIGTERM).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version end here too, well.
    if (error.get_exit_code() == 0) return app.exit(error);
    std::string name = "hayate";
    for (const CLI::App* command : app.get_subcommands()) name += " " + command->get_name();
    return hayate::cli::Report(
        hayate::Fail(hayate::Fault::kUsage, error.what(), {}, "See " + name + " --help."));
  }
  if (cmake_dir) return PrintCmakeDir();
  if (action) return action();
  std::fputs(app.help().c_str(), stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    return hayate::cli::Report(
        hayate::Fail(hayate::Fault::kInternal, std::string("unexpected: ") + error.what()));
  }
}
