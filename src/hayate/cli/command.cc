#include "hayate/cli/command.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace hayate::cli {

int Report(const Status& status) {
  if (!status.ok()) std::fputs(FormatForUser(status).c_str(), stderr);
  return ExitCodeOf(status);
}

int CodeOf(const Status& status, int signal) {
  return FaultOf(status) == Fault::kInterrupted && signal > 0 ? 128 + signal : ExitCodeOf(status);
}

Result<std::map<std::string, std::string>> ParsePairs(const std::string& option,
                                                      const std::vector<std::string>& texts) {
  std::map<std::string, std::string> set;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(Fault::kUsage, option + " \"" + text + "\" is no name with a value", {},
                  "Write " + option + " name=value.");
    }
    set[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return set;
}

std::string Python() {
  const char* python = std::getenv("HAYATE_PYTHON");
  return python != nullptr && *python != '\0' ? python : "python3";
}

std::string StoreOf(const std::string& store, const std::string& job) {
  if (!store.empty()) return std::filesystem::absolute(store).lexically_normal().string();
  const std::filesystem::path folder =
      job.empty() ? std::filesystem::current_path() : std::filesystem::absolute(job).parent_path();
  return (folder / ".hayate").lexically_normal().string();
}

CLI::Validator AtLeastOne() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        int value = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        const bool good = error == std::errc() && stop == end && value >= 1;
        return good ? "" : "\"" + text + "\" is no number of at least 1";
      },
      "");
}

std::string WithCommas(int64_t number) {
  std::string text = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

}  // namespace hayate::cli
