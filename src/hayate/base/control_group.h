#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hayate {

/// Where the kernel tells about this process and its control groups; tests name folders of theirs.
struct KernelFiles {
  std::string cgroup = "/sys/fs/cgroup";
  std::string proc = "/proc";
};

/// The folder of this process's control group and of all above it, the own one first: of version 2
/// where `controller` is empty, else of version 1's hierarchy of that controller. In a container
/// the mount usually is the group itself, so a folder may not be there.
std::vector<std::string> ControlGroups(const std::string& controller,
                                       const KernelFiles& files = {});

/// The first line of a file of the kernel; empty where it cannot be read.
std::string FirstLine(const std::string& path);

/// The number that follows `name` in a file of lines "name number"; nullopt where there is none.
std::optional<int64_t> ReadCounter(const std::string& path, const std::string& name);

}  // namespace hayate
