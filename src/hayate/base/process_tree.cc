#include "hayate/base/process_tree.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "hayate/base/process.h"

namespace hayate {
namespace {

// utime, stime, cutime and cstime of /proc/<pid>/stat (proc(5): fields 14 to 17).
double CpuSeconds(const std::string& folder) {
  std::ifstream file(folder + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The second field is the program's name in brackets and may hold anything.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double total = 0;
  for (int field = 14; field <= 17; ++field) {
    double ticks = 0;
    if (fields >> ticks) total += ticks;
  }
  return total / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// /proc/<pid>/statm: size, resident, and of these shared with a file, in pages.
int64_t PrivateBytes(const std::string& folder) {
  std::ifstream file(folder + "/statm");
  int64_t size = 0;
  int64_t resident = 0;
  int64_t shared = 0;
  if (!(file >> size >> resident >> shared)) return 0;
  return (resident - shared) * static_cast<int64_t>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace

ProcessUse UseOfProcess(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  return {PrivateBytes(folder), CpuSeconds(folder)};
}

ProcessUse UseOfTree(pid_t pid) {
  ProcessUse total;
  std::vector<pid_t> left = {pid};
  while (!left.empty()) {
    const pid_t next = left.back();
    left.pop_back();
    const ProcessUse use = UseOfProcess(next);
    total.private_bytes += use.private_bytes;
    total.cpu_s += use.cpu_s;
    const std::vector<pid_t> children = ChildrenOf(next);
    left.insert(left.end(), children.begin(), children.end());
  }
  return total;
}

}  // namespace hayate
