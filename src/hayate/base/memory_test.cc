#include "hayate/base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "hayate/base/process_tree.h"

namespace hayate {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "hayate-memory-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    Write("proc/meminfo", "MemTotal:  4096 kB\nMemFree: 5 kB\nMemAvailable:  1024 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }

  MemoryReading Read() const { return ReadMemory({root_ / "cgroup", root_ / "proc"}); }

  std::filesystem::path root_;
};

TEST_F(MemoryTest, IsTheMachinesWhereNoGroupHasALimit) {
  Write("proc/self/cgroup", "0::/pod\n");
  Write("cgroup/pod/memory.max", "max\n");
  EXPECT_EQ(Read().limit_bytes, 4 * kMebibyte);
  EXPECT_EQ(Read().used_bytes, 3 * kMebibyte);
  EXPECT_DOUBLE_EQ(Read().share(), 0.75);
}

TEST_F(MemoryTest, IsThatOfTheGroupNearestToItsLimitWithoutThePageCache) {
  Write("proc/self/cgroup", "0::/pod/box\n");
  Write("cgroup/pod/memory.max", "2097152\n");
  Write("cgroup/pod/memory.current", "1572864\n");
  Write("cgroup/pod/memory.stat", "anon 1\ninactive_file 262144\nactive_file 262144\n");
  Write("cgroup/pod/memory.pressure", "some avg10=50.00 avg60=0\nfull avg10=31.00 avg60=0\n");
  Write("cgroup/pod/box/memory.max", "1048576\n");
  Write("cgroup/pod/box/memory.current", "65536\n");
  const MemoryReading reading = Read();
  EXPECT_EQ(reading.limit_bytes, 2 * kMebibyte);
  EXPECT_EQ(reading.used_bytes, kMebibyte);
  EXPECT_TRUE(reading.stalled);
}

TEST_F(MemoryTest, KnowsVersionOneWhereTheMountIsTheGroup) {
  Write("proc/self/cgroup", "4:memory:/docker/5b21\n0::/\n");
  Write("cgroup/memory/memory.limit_in_bytes", "1048576\n");
  Write("cgroup/memory/memory.usage_in_bytes", "786432\n");
  Write("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 262144\n");
  EXPECT_EQ(Read().limit_bytes, kMebibyte);
  EXPECT_EQ(Read().used_bytes, kMebibyte / 2);
  EXPECT_FALSE(Read().stalled);
}

TEST(ProcessTreeTest, CountsMemoryThatNoFileStandsBehind) {
  constexpr int64_t kBytes = 64 * kMebibyte;
  const int64_t before = UseOfTree(getpid()).private_bytes;
  const std::vector<char> held(static_cast<size_t>(kBytes), 'x');
  EXPECT_GT(UseOfTree(getpid()).private_bytes, before + kBytes / 2);
  EXPECT_EQ(held.back(), 'x');
  EXPECT_EQ(UseOfTree(-1).private_bytes, 0);
}

}  // namespace
}  // namespace hayate
