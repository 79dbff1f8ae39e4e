#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::cli {

/// What the chosen command does once the command line is read; returns the exit code.
using Action = std::function<int()>;

// Each adds its command to `app`; the command, if chosen, sets `*action`.
void AddRun(CLI::App* app, Action* action);
void AddPlan(CLI::App* app, Action* action);
void AddConvert(CLI::App* app, Action* action);
void AddLs(CLI::App* app, Action* action);
void AddGc(CLI::App* app, Action* action);
void AddShow(CLI::App* app, Action* action);
void AddVerify(CLI::App* app, Action* action);
void AddWorker(CLI::App* app, Action* action);
void AddDoctor(CLI::App* app, Action* action);
void AddPool(CLI::App* app, Action* action);

/// The exit code of what ended with `status`: 128 + `signal` if that signal (0: none) ended it.
int CodeOf(const Status& status, int signal);

/// Prints what went wrong, if anything did, in the one shape; returns the exit code.
int Report(const Status& status);

/// `option` NAME=VALUE, repeated. Fault::kUsage for one without "=", which names `option`.
Result<std::map<std::string, std::string>> ParsePairs(const std::string& option,
                                                      const std::vector<std::string>& texts);

/// The Python that can import hayate: HAYATE_PYTHON, else python3 of PATH.
std::string Python();

/// The store that a command about stored frames means: `store`, else `.hayate` beside `job` if that
/// is given, else `.hayate` here.
std::string StoreOf(const std::string& store, const std::string& job);

/// Check of an option: a whole number of at least 1.
CLI::Validator AtLeastOne();

/// 1234567 → "1,234,567".
std::string WithCommas(int64_t number);

}  // namespace hayate::cli
