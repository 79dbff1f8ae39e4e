// What failing disks and interruptions leave of a frame: all of it, or nothing that is taken for
// it.
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/test_data_internal.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {
namespace {

// Files of this process may not grow beyond a size: write(2) then fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

class FaultTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& file) const { return dir_.path() + "/" + file; }

  Status Write(int64_t number, int64_t rows, std::vector<std::pair<int64_t, int64_t>> groups = {}) {
    const auto batch = RandomBatch(random_, rows);
    ARROW_ASSIGN_OR_RAISE(const auto writer,
                          PartWriter::Make(dir_.path(), number, batch->schema()));
    ARROW_RETURN_NOT_OK(writer->Write(*batch));
    writer->set_groups(std::move(groups));
    return writer->Finish().status();
  }

  // Every group one row: rows `first`, `first + step`, … of an input.
  static std::vector<std::pair<int64_t, int64_t>> Groups(int64_t rows, int64_t first,
                                                         int64_t step) {
    std::vector<std::pair<int64_t, int64_t>> groups;
    for (int64_t i = 0; i < rows; ++i) groups.emplace_back(first + i * step, 1);
    return groups;
  }

  TestDirectory dir_;
  std::mt19937_64 random_{5};
};

TEST_F(FaultTest, AFullDiskFailsThePartAndLeavesNothingOfIt) {
  ASSERT_TRUE(Write(0, 10).ok());
  Status status;
  {
    const FileSizeLimit limit(20'000);
    status = Write(1, 5000);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FaultOf(status), Fault::kStorage) << status;
  EXPECT_NE(FaultDetail::Get(status)->where().object.find("part-00001.arrow"), std::string::npos);
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(),
            (std::vector<std::string>{"part-00000.arrow", "part-00000.json"}));
}

TEST_F(FaultTest, AFullDiskAtConsolidationLeavesTheFrameAsItWas) {
  ASSERT_TRUE(Write(0, 4000).ok());
  ASSERT_TRUE(Write(1, 4000).ok());
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  const auto before = ListDirectory(dir_.path()).ValueOrDie();
  {
    const FileSizeLimit limit(20'000);
    EXPECT_EQ(FaultOf(Consolidate(dir_.path(), 2).status()), Fault::kStorage);
  }
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(), before);
  EXPECT_TRUE(Consolidate(dir_.path(), 2).ok());
}

TEST_F(FaultTest, ACommitThatFailsBeforeTheManifestCanBeRepeated) {
  ASSERT_TRUE(Write(0, 3000, Groups(3000, 0, 2)).ok());
  ASSERT_TRUE(Write(1, 3000, Groups(3000, 1, 2)).ok());
  {
    const FileSizeLimit limit(100'000);  // the parts in order are larger
    EXPECT_EQ(FaultOf(Commit(dir_.path(), {.expected_parts = 2}).status()), Fault::kStorage);
  }
  EXPECT_FALSE(FrameReader::Open(dir_.path()).ok());
  // As a crash leaves it: a part in order that no manifest names.
  ASSERT_TRUE(WriteFileAtomically(Path("part-00002.arrow"), "half").ok());
  EXPECT_EQ(FinishedParts(dir_.path()).ValueOrDie().size(), 2U);
  const auto manifest = Commit(dir_.path(), {.expected_parts = 2});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  const auto frame = FrameReader::Open(dir_.path()).ValueOrDie();
  EXPECT_EQ(frame->manifest().rows, 6000);
  EXPECT_TRUE(Verify(dir_.path()).ok());
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(),
            (std::vector<std::string>{"frame.json", "part-00002.arrow"}));
}

TEST_F(FaultTest, ACommitThatDiedWhileItRemovedSidecarsCanBeRepeated) {
  for (int64_t i = 0; i < 2; ++i) ASSERT_TRUE(Write(i, 10).ok());
  const std::string sidecar = ReadFile(Path("part-00001.json")).ValueOrDie();
  const CommitOptions options = {.name = "x", .key = "k", .expected_parts = 2};
  const auto first = Commit(dir_.path(), options).ValueOrDie();
  ASSERT_TRUE(WriteFileAtomically(Path("part-00001.json"), sidecar).ok());
  EXPECT_FALSE(FindCommitted(dir_.path(), "another").ValueOrDie().has_value());
  EXPECT_TRUE(PathExists(Path("part-00001.json")));
  const auto again = Commit(dir_.path(), options);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ToJson(*again), ToJson(first));
  EXPECT_EQ(ListDirectory(dir_.path()).ValueOrDie(),
            (std::vector<std::string>{"frame.json", "part-00000.arrow", "part-00001.arrow"}));
}

TEST_F(FaultTest, PartsThatAreWrittenAnewAreCommittedAnew) {
  const CommitOptions options = {.name = "x", .key = "k"};
  ASSERT_TRUE(Write(0, 10).ok());
  ASSERT_TRUE(Commit(dir_.path(), options).ok());
  ASSERT_TRUE(Write(0, 10).ok());  // other values, of the same length
  ASSERT_TRUE(Commit(dir_.path(), options).ok());
  EXPECT_TRUE(Verify(dir_.path()).ok());
  ASSERT_TRUE(Write(0, 20).ok());
  ASSERT_TRUE(Write(1, 20).ok());
  EXPECT_EQ(Commit(dir_.path(), options).ValueOrDie().rows, 40);
}

TEST_F(FaultTest, WhatAKilledConsolidationLeftIsRemoved) {
  for (int64_t i = 0; i < 2; ++i) ASSERT_TRUE(Write(i, 10).ok());
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  ASSERT_TRUE(WriteFileAtomically(Path(".whole.arrow.0123456789abcdef.tmp"), "half").ok());
  ASSERT_TRUE(Consolidate(dir_.path(), 1).ok());
  EXPECT_FALSE(PathExists(Path(".whole.arrow.0123456789abcdef.tmp")));
}

TEST_F(FaultTest, LeftoversOfACrashAfterTheManifestDoNotCount) {
  ASSERT_TRUE(Write(0, 10).ok());
  const std::string sidecar = ReadFile(Path("part-00000.json")).ValueOrDie();
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("part-00000.json"), sidecar).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("part-00007.arrow"), "old").ok());
  EXPECT_EQ(FrameReader::Open(dir_.path()).ValueOrDie()->manifest().rows, 10);
  EXPECT_TRUE(Verify(dir_.path()).ok());
}

TEST_F(FaultTest, AFrameMayHaveMorePartsThanAProcessMayHaveFiles) {
  for (int64_t i = 0; i < 60; ++i) ASSERT_TRUE(Write(i, 3).ok());
  ASSERT_TRUE(Commit(dir_.path(), {}).ok());
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{.rlim_cur = 40, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  const auto frame = FrameReader::Open(dir_.path());
  const auto table = frame.ok() ? (*frame)->ReadTable() : frame.status();
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 180);
}

TEST_F(FaultTest, AReplacedPartIsTheNewOneWhole) {
  ASSERT_TRUE(Write(0, 10).ok());
  ASSERT_TRUE(Write(0, 20).ok());
  const auto parts = FinishedParts(dir_.path()).ValueOrDie();
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].rows, 20);
}

TEST_F(FaultTest, ADirectoryThatCannotBeWrittenToIsNamed) {
  // A file where the directory should be fails for root too.
  ASSERT_TRUE(WriteFileAtomically(Path("frame"), "in the way").ok());
  const auto writer = PartWriter::Make(Path("frame"), 0, TestSchema());
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(FaultDetail::Get(writer.status())->where().object, Path("frame"));
  if (geteuid() != 0) {
    ASSERT_EQ(chmod(dir_.path().c_str(), 0500), 0);
    EXPECT_EQ(FaultOf(Write(0, 1)), Fault::kStorage);
    ASSERT_EQ(chmod(dir_.path().c_str(), 0700), 0);
  }
}

}  // namespace
}  // namespace hayate::frame
