#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "hayate/base/file.h"
#include "hayate/source/source.h"

namespace hayate::source {
namespace {

class ListTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "hayate-list-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    ASSERT_TRUE(MakeDirectories(dir_ + "/sub/deep").ok());
    for (const char* name : {"b-1.csv", "a-2.csv", "a-10.csv", ".a-hidden.csv", "odd[1].csv",
                             "sub/a-3.csv", "sub/deep/a-4.csv"}) {
      ASSERT_TRUE(WriteFileAtomically(dir_ + "/" + name, name).ok());
    }
  }
  void TearDown() override { ASSERT_TRUE(RemoveTree(dir_).ok()); }

  std::vector<std::string> Names(const std::vector<std::string>& patterns) {
    const auto objects = List(patterns, dir_);
    EXPECT_TRUE(objects.ok()) << objects.status();
    std::vector<std::string> names;
    for (const auto& object : *objects) names.push_back(object.uri.substr(dir_.size() + 1));
    return names;
  }

  std::string dir_;
};

using Strings = std::vector<std::string>;

TEST_F(ListTest, GlobIsInOrderOfNameAndHidesDotFiles) {
  EXPECT_EQ(Names({"a-*.csv"}), (Strings{"a-10.csv", "a-2.csv"}));
  EXPECT_EQ(Names({"*-?.csv"}), (Strings{"a-2.csv", "b-1.csv"}));
}

TEST_F(ListTest, PatternsKeepTheirOrderAndNameEachFileOnce) {
  EXPECT_EQ(Names({"b-1.csv", "*.csv"}), (Strings{"b-1.csv", "a-10.csv", "a-2.csv", "odd[1].csv"}));
}

TEST_F(ListTest, DoubleStarReachesEveryDepth) {
  EXPECT_EQ(Names({"**/a-*.csv"}),
            (Strings{"a-10.csv", "a-2.csv", "sub/a-3.csv", "sub/deep/a-4.csv"}));
}

TEST_F(ListTest, FileWithABracketInItsNameIsThatFile) {
  EXPECT_EQ(Names({"odd[1].csv"}), (Strings{"odd[1].csv"}));
}

TEST_F(ListTest, FolderWithABracketInItsNameIsThatFolder) {
  ASSERT_TRUE(MakeDirectories(dir_ + "/day[1]").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/day[1]/a.csv", "a").ok());
  EXPECT_EQ(Names({"day[1]/*.csv"}), (Strings{"day[1]/a.csv"}));
  EXPECT_EQ(Names({"day[1]/a.csv"}), (Strings{"day[1]/a.csv"}));
}

// A shell leaves such a file behind where a pattern matched nothing.
TEST_F(ListTest, FileNamedAsThePatternHidesNoOther) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/a-*.csv", "a").ok());
  EXPECT_EQ(Names({"a-*.csv"}), (Strings{"a-*.csv", "a-10.csv", "a-2.csv"}));
}

TEST_F(ListTest, MatchThatCannotBeReadIsNamedAndFoldersAreSkipped) {
  ASSERT_TRUE(MakeDirectories(dir_ + "/folder.csv").ok());
  EXPECT_EQ(Names({"*[12].csv"}), (Strings{"a-2.csv", "b-1.csv"}));
  const std::string link = dir_ + "/a-3.csv";
  for (const char* target : {"gone.csv", "a-3.csv"}) {
    ASSERT_EQ(symlink(target, link.c_str()), 0);
    for (const char* pattern : {"*.csv", "**/*.csv"}) {
      const auto objects = List({pattern}, dir_);
      ASSERT_FALSE(objects.ok()) << target;
      EXPECT_EQ(FaultDetail::Get(objects.status())->where().object, link);
    }
    ASSERT_EQ(unlink(link.c_str()), 0);
  }
  EXPECT_EQ(Names({"*/a-3.csv"}), (Strings{"sub/a-3.csv"})) << "other folders have none";
}

TEST_F(ListTest, PipeIsAnErrorThatSaysToWriteAFileFirst) {
  ASSERT_EQ(mkfifo((dir_ + "/pipe.csv").c_str(), 0600), 0);
  for (const char* pattern : {"pipe.csv", "p*.csv"}) {
    const auto objects = List({pattern}, dir_);
    ASSERT_FALSE(objects.ok());
    EXPECT_EQ(FaultOf(objects.status()), Fault::kInput);
    EXPECT_NE(FormatForUser(objects.status()).find("Write it to a file first"), std::string::npos);
  }
}

TEST_F(ListTest, WhatMatchesNothingIsNamed) {
  for (const char* pattern : {"nothing-*.csv", "missing.csv"}) {
    const auto objects = List({pattern}, dir_);
    ASSERT_FALSE(objects.ok());
    EXPECT_EQ(FaultOf(objects.status()), Fault::kInput);
    EXPECT_EQ(FaultDetail::Get(objects.status())->where().object, dir_ + "/" + pattern);
  }
}

TEST_F(ListTest, FolderAsInputIsAnErrorThatSuggestsAPattern) {
  const auto objects = List({"sub"}, dir_);
  ASSERT_FALSE(objects.ok());
  EXPECT_NE(FormatForUser(objects.status()).find("sub/*.csv.gz"), std::string::npos);
}

TEST_F(ListTest, ObjectSurvivesJson) {
  const auto objects = List({"a-2.csv"}, dir_);
  const auto back = ObjectFromJson(ToJson(objects->front()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(ToJson(*back), ToJson(objects->front()));
  EXPECT_EQ(back->size_bytes, 7);
}

}  // namespace
}  // namespace hayate::source
