#include "hayate/base/memory.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace hayate {
namespace {

// Of all processes' time in the last ten seconds.
constexpr double kStalledPercent = 20;

// "full avg10=0.31 avg60=…" says how long nothing at all went on for want of memory.
bool IsStalled(const std::string& pressure_file) {
  std::ifstream file(pressure_file);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind;
    std::string average;
    if (!(words >> kind >> average) || kind != "full") continue;
    std::istringstream number(average.substr(average.find('=') + 1));
    double percent = 0;
    return number >> percent && percent >= kStalledPercent;
  }
  return false;
}

MemoryReading ReadMachine(const std::string& proc) {
  constexpr int64_t kKibibyte = 1024;
  const std::string file = proc + "/meminfo";
  MemoryReading machine;
  machine.limit_bytes = ReadCounter(file, "MemTotal:").value_or(0) * kKibibyte;
  const auto available = ReadCounter(file, "MemAvailable:");
  if (available) machine.used_bytes = machine.limit_bytes - *available * kKibibyte;
  machine.stalled = IsStalled(proc + "/pressure/memory");
  return machine;
}

int64_t NumberIn(const std::string& file) {
  std::istringstream line(FirstLine(file));
  int64_t number = 0;
  return line >> number ? number : 0;  // "max": no limit
}

// What the kernel takes back before it kills; shared memory is in neither of the lists.
int64_t ReclaimableBytes(const std::string& group, const std::string& prefix) {
  const std::string file = group + "/memory.stat";
  int64_t bytes = 0;
  for (const char* name : {"inactive_file", "active_file", "slab_reclaimable"}) {
    bytes += ReadCounter(file, prefix + name).value_or(0);
  }
  return bytes;
}

}  // namespace

MemoryReading ReadMemory(const KernelFiles& files) {
  const MemoryReading machine = ReadMachine(files.proc);
  MemoryReading nearest;
  const auto consider = [&](const std::string& group, const char* limit, const char* current,
                            const char* prefix) {
    MemoryReading reading;
    reading.limit_bytes = NumberIn(group + "/" + limit);
    // Version 1 says "no limit" as a number beyond any machine.
    if (reading.limit_bytes <= 0 || reading.limit_bytes >= machine.limit_bytes) return;
    reading.used_bytes =
        std::max<int64_t>(0, NumberIn(group + "/" + current) - ReclaimableBytes(group, prefix));
    reading.stalled = IsStalled(group + "/memory.pressure");
    if (nearest.limit_bytes == 0 || reading.share() > nearest.share()) nearest = reading;
  };
  for (const std::string& group : ControlGroups("", files)) {
    consider(group, "memory.max", "memory.current", "");
  }
  for (const std::string& group : ControlGroups("memory", files)) {
    consider(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_");
  }
  return nearest.limit_bytes > 0 ? nearest : machine;
}

std::string InGibibytes(int64_t bytes) {
  std::array<char, 32> text{};
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  std::snprintf(text.data(), text.size(), "%.2f GiB", static_cast<double>(bytes) / kGibibyte);
  return text.data();
}

}  // namespace hayate
