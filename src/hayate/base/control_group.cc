#include "hayate/base/control_group.h"

#include <fstream>
#include <sstream>

namespace hayate {
namespace {

// As a path below the mount.
std::string GroupPath(const std::string& controller, const KernelFiles& files) {
  std::ifstream file(files.proc + "/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controller.empty() && controllers == ",,";
    const bool v1 =
        !controller.empty() && controllers.find("," + controller + ",") != std::string::npos;
    if (v1 || v2) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

std::vector<std::string> ControlGroups(const std::string& controller, const KernelFiles& files) {
  const std::string mount = files.cgroup + (controller.empty() ? "" : "/" + controller);
  std::vector<std::string> folders;
  std::string group = GroupPath(controller, files);
  while (!group.empty() && group != "/") {
    folders.push_back(mount + group);
    const auto slash = group.find_last_of('/');
    group = slash == std::string::npos ? "" : group.substr(0, slash);
  }
  folders.push_back(mount);
  return folders;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int64_t> ReadCounter(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    int64_t number = 0;
    if (words >> word >> number && word == name) return number;
  }
  return std::nullopt;
}

}  // namespace hayate
