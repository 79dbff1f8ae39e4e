#include "hayate/job/store.h"

#include <fcntl.h>

#include <algorithm>

#include "hayate/base/file.h"
#include "hayate/job/gc.h"
#include "hayate/job/run_record.h"
#include "hayate/job/store_lock.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

std::string Key(char digit) { return std::string(32, digit); }

class StoreTest : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    store_ = std::make_unique<Store>(Path(".hayate"));
    ASSERT_TRUE(store_->Create().ok());
  }

  void PutRun(const std::string& id, const std::string& status,
              const std::vector<std::string>& uses, const std::vector<std::string>& copies = {},
              const std::string& job = "/job.py") {
    std::filesystem::create_directories(store_->RunDir(id));
    const Json record = {{"job", job}, {"status", status}, {"uses", uses}, {"copies", copies}};
    Write(".hayate/runs/" + id + "/run.json", record.dump());
  }
  std::string Frame(const std::string& name, char digit) {
    PutFrame(*store_, name, Key(digit));
    return store_->FrameDir(name, Key(digit));
  }
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AStoreThatIsNotThereHasNothing) {
  const Store none(Path("none"));
  EXPECT_TRUE(none.Frames().ValueOrDie().empty());
  EXPECT_TRUE(none.Runs().ValueOrDie().empty());
  EXPECT_FALSE(none.Newest("x").ValueOrDie().has_value());
}

TEST_F(StoreTest, FindsAFrameByNameAndWholeKey) {
  PutFrame(*store_, "clicks", Key('a'));
  EXPECT_TRUE(store_->Find("clicks", Key('a')).manifest.has_value());
  EXPECT_FALSE(store_->Find("clicks", Key('b')).manifest.has_value());
  EXPECT_EQ(store_->Find("clicks", Key('b')).trouble, "");
  // The same first half of the digits is not the same key.
  const FoundFrame other = store_->Find("clicks", std::string(16, 'a') + std::string(16, 'b'));
  EXPECT_FALSE(other.manifest.has_value());
  EXPECT_EQ(other.trouble, "another result lies in its folder");
}

TEST_F(StoreTest, AManifestThatCannotBeReadIsNoFrame) {
  std::ofstream(Frame("clicks", 'a') + "/frame.json") << "{\"format\": 2}";
  const FoundFrame found = store_->Find("clicks", Key('a'));
  EXPECT_FALSE(found.manifest.has_value());
  EXPECT_NE(found.trouble.find("format 2"), std::string::npos) << found.trouble;
}

TEST_F(StoreTest, TheNewestFrameOfANameIsThatOfTheLastManifest) {
  PutFrame(*store_, "clicks", Key('b'));
  PutFrame(*store_, "clicks", Key('a'));
  const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(store_->FrameDir("clicks", Key('b')) + "/frame.json", before);
  PutFrame(*store_, "clicks-by-user", Key('c'));
  EXPECT_EQ(store_->Newest("clicks").ValueOrDie()->key16, Key('a').substr(0, 16));
}

TEST_F(StoreTest, ADirectoryWithoutManifestIsUnfinished) {
  std::filesystem::create_directories(store_->FrameDir("clicks", Key('a')));
  const auto frames = store_->Frames().ValueOrDie();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_FALSE(frames[0].committed);
  EXPECT_FALSE(store_->Newest("clicks").ValueOrDie().has_value());
}

TEST_F(StoreTest, NamesOfSplitCopiesFitAFileName) {
  EXPECT_EQ(ShuffledName("clicks", {"user_id"}), "clicks-by-user_id");
  EXPECT_EQ(ShuffledName("clicks", {"a/b", "c"}), "clicks-by-a_b-c");
  EXPECT_LE(ShuffledName("clicks", {std::string(500, 'x')}).size(), 200u);
}

TEST_F(StoreTest, ASecondHolderIsRefusedOrTold) {
  const auto held = StoreLock::Take(store_->lock_path(), false, {}, nullptr);
  ASSERT_TRUE(held.ok());
  const auto second = StoreLock::Take(store_->lock_path(), false, {}, nullptr);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(FaultOf(second.status()), Fault::kBusy);
  EXPECT_NE(second.status().message().find("process " + std::to_string(getpid())),
            std::string::npos);
}

TEST_F(StoreTest, TheLockIsFreeAgainAfterwards) {
  {
    ASSERT_TRUE(StoreLock::Take(store_->lock_path(), false, {}, nullptr).ok());
  }
  EXPECT_TRUE(StoreLock::Take(store_->lock_path(), false, {}, nullptr).ok());
}

TEST_F(StoreTest, GarbageIsWhatNoRunThatCountsUses) {
  const std::string old = Frame("clicks", 'a'), mid = Frame("clicks", 'b'),
                    now = Frame("clicks", 'c'), stray = Frame("clicks", 'd');
  PutRun("20260101T000000-1", "done", {old});
  PutRun("20260102T000000-1", "done", {mid});
  PutRun("20260103T000000-1", "done", {now});
  Garbage garbage = FindGarbage(*store_, 2).ValueOrDie();
  std::sort(garbage.dirs.begin(), garbage.dirs.end());
  EXPECT_EQ(garbage.dirs, (std::vector<std::string>{old, stray}));
}

TEST_F(StoreTest, RunsOverTheSameFramesCountOnce) {
  const std::string old = Frame("clicks", 'a'), now = Frame("clicks", 'b');
  PutRun("20260101T000000-1", "done", {old});
  for (int i = 2; i < 7; ++i) {
    PutRun("2026010" + std::to_string(i) + "T000000-1", "done", {now});
  }
  EXPECT_TRUE(FindGarbage(*store_, 2).ValueOrDie().dirs.empty());
}

TEST_F(StoreTest, WhatAFailedRunHadFinishedIsKept) {
  const std::string unfinished = store_->FrameDir("features", Key('e'));
  std::filesystem::create_directories(unfinished);
  const std::string copy = Frame("clicks-by-user", 'f'), now = Frame("clicks", 'b');
  PutRun("20260101T000000-1", "failed", {unfinished}, {copy});
  PutRun("20260102T000000-1", "done", {now});
  EXPECT_TRUE(FindGarbage(*store_, 1).ValueOrDie().dirs.empty());
}

TEST_F(StoreTest, SplitCopiesOfOlderRunsAreGarbage) {
  const std::string frame = Frame("clicks", 'a'), next = Frame("clicks", 'b'),
                    copy = Frame("clicks-by-user", 'c'), newer = Frame("clicks-by-user", 'd');
  PutRun("20260101T000000-1", "done", {frame}, {copy});
  PutRun("20260102T000000-1", "done", {next}, {newer});
  PutRun("20260103T000000-1", "done", {next});
  EXPECT_EQ(FindGarbage(*store_, 3).ValueOrDie().dirs, std::vector<std::string>{copy});
}

TEST_F(StoreTest, EachJobOfAStoreKeepsItsOwnRuns) {
  const std::string nightly = Frame("clicks", 'a'), copy = Frame("clicks-by-user", 'b'),
                    unfinished = Frame("clicks", 'c');
  PutRun("20260101T000000-0000", "done", {nightly}, {copy}, "/nightly.py");
  PutRun("20260101T000001-0000", "failed", {unfinished}, {}, "/nightly.py");
  std::vector<std::string> now;
  for (int i = 0; i < 120; ++i) {
    const std::string key = std::to_string(100000 + i) + std::string(26, '0');
    PutFrame(*store_, "often", key);
    now.push_back(store_->FrameDir("often", key));
    PutRun("20260102T" + std::to_string(100000 + i) + "-0000", "done", {now.back()}, {},
           "/often.py");
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(CollectGarbage(*store_, 1).ok());
    EXPECT_TRUE(PathExists(nightly));
    EXPECT_TRUE(PathExists(copy));
    EXPECT_TRUE(PathExists(unfinished));
    EXPECT_TRUE(PathExists(now.back()));
    EXPECT_FALSE(PathExists(now[0]));
  }
}

TEST(RunIdTest, ANewerRunSortsBehindTheOlderWhateverTheClockSays) {
  std::string last = NewRunId("");
  for (int i = 0; i < 12; ++i) {
    const std::string next = NewRunId(last);
    EXPECT_GT(next, last);
    last = next;
  }
  EXPECT_EQ(NewRunId("20991231T235959-0009"), "20991231T235959-0010");
  EXPECT_EQ(NewRunId("20991231T235959-4711"), "20991231T235959-4712");
}

TEST_F(StoreTest, CollectingRemovesFramesWholeAndOldRunFolders) {
  const std::string old = Frame("clicks", 'a'), now = Frame("clicks", 'b');
  for (int i = 0; i < 102; ++i) {
    PutRun("20260101T" + std::to_string(100000 + i) + "-1", "done", {now});
  }
  ASSERT_TRUE(CollectGarbage(*store_, 1).ok());
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(now));
  EXPECT_EQ(store_->Runs().ValueOrDie().size(), 100u);
}

}  // namespace
}  // namespace hayate::job
