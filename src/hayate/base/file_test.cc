#include "hayate/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace hayate {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "hayate-file-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { ASSERT_TRUE(RemoveTree(dir_).ok()); }

  std::string dir_;
};

TEST_F(FileTest, WritesAndReadsBack) {
  const std::string path = dir_ + "/a.json";
  const std::string text("one\0two", 7);
  ASSERT_TRUE(WriteFileAtomically(path, text).ok());
  EXPECT_EQ(*ReadFile(path), text);
  ASSERT_TRUE(WriteFileAtomically(path, "").ok());
  EXPECT_EQ(*ReadFile(path), "");
}

TEST_F(FileTest, UncommittedFileLeavesNothingAndKeepsTheOldOne) {
  const std::string path = dir_ + "/a";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  {
    auto file = *AtomicFile::Create(path);
    const std::string text = "new";
    ASSERT_TRUE(file->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}).ok());
    EXPECT_EQ(ListDirectory(dir_)->size(), 2u);
  }
  EXPECT_EQ(*ListDirectory(dir_), std::vector<std::string>{"a"});
  EXPECT_EQ(*ReadFile(path), "old");
}

TEST_F(FileTest, WhatKilledProcessesLeftIsRemovedAndWhatIsBeingWrittenIsNot) {
  const std::string path = dir_ + "/a";
  const std::string left = dir_ + "/.a.0123456789abcdef.tmp";
  ASSERT_TRUE(WriteFileAtomically(left, "half").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/.a.mine.tmp", "of somebody else").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/.a.b.0123456789abcdef.tmp", "of a.b").ok());
  {
    const auto writing = AtomicFile::Create(path).ValueOrDie();
    ASSERT_TRUE(RemoveTemporaries(path).ok());
    EXPECT_FALSE(PathExists(left));
    EXPECT_EQ(ListDirectory(dir_)->size(), 3u);
    ASSERT_TRUE(writing->Commit().ok());
  }
  EXPECT_EQ(*ListDirectory(dir_),
            (std::vector<std::string>{".a.b.0123456789abcdef.tmp", ".a.mine.tmp", "a"}));
}

TEST_F(FileTest, FullDiskIsAStorageFaultThatNamesTheFileAndWhatToDo) {
  const Status status = FailErrno(ENOSPC, "cannot write", {.object = dir_ + "/x"});
  EXPECT_EQ(FaultOf(status), Fault::kStorage);
  EXPECT_NE(FormatForUser(status).find(dir_ + "/x"), std::string::npos);
  EXPECT_NE(FormatForUser(status).find("Free some space"), std::string::npos);
}

TEST_F(FileTest, MissingFileIsAnInputFaultThatNamesIt) {
  const auto result = ReadFile(dir_ + "/nowhere");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(FaultOf(result.status()), Fault::kInput);
  EXPECT_EQ(FaultDetail::Get(result.status())->where().object, dir_ + "/nowhere");
}

}  // namespace
}  // namespace hayate
