#include "hayate/job/source_files.h"

#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

class SourceFiles : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    store_ = std::make_unique<Store>(Path(".hayate"));
    ASSERT_TRUE(store_->Create().ok());
    node_.kind = Node::Kind::kSource;
    node_.name = "clicks";
    node_.format = "csv";
    node_.paths = {"clicks-*.csv"};
  }

  std::vector<FileRecord> Find() {
    return FindFiles(
               node_, folder_.string(), *store_,
               [&](const std::vector<source::Object>& objects) {
                 asked_ += objects.size();
                 std::vector<std::string> sums;
                 for (const auto& object : objects) {
                   sums.push_back(source::ContentChecksum(object.uri).ValueOrDie());
                 }
                 return Result<std::vector<std::string>>(sums);
               },
               &warnings_)
        .ValueOrDie();
  }

  // As a run leaves them.
  void Keep(std::vector<FileRecord> files) {
    for (FileRecord& file : files) {
      file.checksum = source::ContentChecksum(file.object.uri).ValueOrDie();
    }
    PutFrame(*store_, "clicks", KeyOf(SourceKeyParts(node_, files)), {},
             {{"files", FilesToJson(files)}});
  }

  void Touch(const std::string& name) {
    std::filesystem::last_write_time(
        folder_ / name, std::filesystem::last_write_time(folder_ / name) + std::chrono::hours(1));
  }

  Node node_;
  std::unique_ptr<Store> store_;
  size_t asked_ = 0;
  std::vector<std::string> warnings_;
};

TEST_F(SourceFiles, NamesAreRelativeToTheJob) {
  Write("clicks-0.csv", "a\n1\n");
  EXPECT_EQ(Find()[0].name, "clicks-0.csv");
}

TEST_F(SourceFiles, UnchangedFilesKeepTheirDigestWithoutBeingRead) {
  Write("clicks-0.csv", "a\n1\n");
  const auto before = Find();
  Keep(before);
  EXPECT_EQ(Find()[0].digest, before[0].digest);
  EXPECT_EQ(asked_, 0u);
}

TEST_F(SourceFiles, ATouchedFileOfTheSameContentKeepsItsDigest) {
  Write("clicks-0.csv", "a\n1\n");
  const auto before = Find();
  Keep(before);
  Touch("clicks-0.csv");
  EXPECT_EQ(Find()[0].digest, before[0].digest);
  EXPECT_EQ(asked_, 1u);
}

TEST_F(SourceFiles, OtherContentOfTheSameSizeIsAnotherDigest) {
  Write("clicks-0.csv", "a\n1\n");
  const auto before = Find();
  Keep(before);
  Write("clicks-0.csv", "a\n2\n");
  Touch("clicks-0.csv");
  EXPECT_NE(Find()[0].digest, before[0].digest);
}

TEST_F(SourceFiles, AnotherSizeNeedsNoChecksum) {
  Write("clicks-0.csv", "a\n1\n");
  Keep(Find());
  Write("clicks-0.csv", "a\n1\n2\n");
  Touch("clicks-0.csv");
  Find();
  EXPECT_EQ(asked_, 0u);
}

TEST_F(SourceFiles, AFileThatChangesWhileItIsReadIsAnError) {
  Write("clicks-0.csv", "a\n1\n");
  const auto files = Find();
  EXPECT_TRUE(CheckUnchanged(files).ok());
  Touch("clicks-0.csv");
  const Status status = CheckUnchanged(files);
  EXPECT_EQ(FaultOf(status), Fault::kInput);
  EXPECT_NE(FormatForUser(status).find("clicks-0.csv"), std::string::npos);
}

TEST_F(SourceFiles, AFileAsYoungAsItsListingIsComparedByContentNextTime) {
  Write("clicks-0.csv", "a\n1\n");
  auto files = Find();
  const int64_t changed = files[0].object.ctime_ns;
  ForgetRacyTimes(changed + 1'000'000, &files);
  EXPECT_EQ(files[0].object.mtime_ns, 0);
  auto settled = Find();
  ForgetRacyTimes(changed + 1'000'000'000, &settled);
  EXPECT_NE(settled[0].object.mtime_ns, 0);
}

}  // namespace
}  // namespace hayate::job
