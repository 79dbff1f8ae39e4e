#include "hayate/job/keys.h"

#include "hayate/job/reasons.h"
#include "hayate/job/test_job_internal.h"

namespace hayate::job {
namespace {

FileRecord Record(const std::string& name, int64_t mtime_ns) {
  FileRecord file;
  file.name = name;
  file.object = {.uri = "/data/" + name, .size_bytes = 10, .mtime_ns = mtime_ns};
  file.digest = StatDigest(file.object);
  return file;
}

class Keys : public testing::Test {
 protected:
  Json StageParts(const Json& job) const {
    const Description description = MustParse(job);
    return StageKeyParts(description.nodes[1], {"clicks-key", ""});
  }
  Json job_ = ExampleJob("/shop/job.py");
};

TEST_F(Keys, EqualPartsGiveEqualKeysWhateverTheirOrder) {
  EXPECT_EQ(KeyOf({{"a", 1}, {"b", 2}}), KeyOf({{"b", 2}, {"a", 1}}));
  EXPECT_NE(KeyOf({{"a", 1}}), KeyOf({{"a", 2}}));
  EXPECT_EQ(KeyOf({{"a", 1}}).size(), 32u);
}

TEST_F(Keys, CodeParametersInputsAndModeCount) {
  const std::string key = KeyOf(StageParts(job_));
  for (const char* change : {"code", "value", "mode", "as"}) {
    Json job = job_;
    Json& stage = job["nodes"][1];
    if (std::string(change) == "code") stage["code"]["features()"] = std::string(32, 'd');
    if (std::string(change) == "value") stage["inputs"][1]["value"]["value"] = "2026-11-25";
    if (std::string(change) == "mode") stage["mode"] = "group";
    if (std::string(change) == "as") stage["inputs"][0]["as"] = "polars";
    EXPECT_NE(KeyOf(StageParts(job)), key) << change;
  }
  const Description description = MustParse(job_);
  EXPECT_NE(KeyOf(StageKeyParts(description.nodes[1], {"other-key", ""})), key);
}

TEST_F(Keys, NameLineAndCoresDoNotCount) {
  Json job = job_;
  job["nodes"][1]["cores"] = 2;
  job["nodes"][1]["line"] = 99;
  EXPECT_EQ(KeyOf(StageParts(job)), KeyOf(StageParts(job_)));
}

TEST_F(Keys, FilesAndTheirOrderCount) {
  const Node source = MustParse(job_).nodes[0];
  const FileRecord a = Record("a.csv", 1), b = Record("b.csv", 2);
  EXPECT_NE(KeyOf(SourceKeyParts(source, {a, b})), KeyOf(SourceKeyParts(source, {b, a})));
  EXPECT_NE(KeyOf(SourceKeyParts(source, {a, b})),
            KeyOf(SourceKeyParts(source, {a, Record("b.csv", 3)})));
}

TEST_F(Keys, FilesSurviveTheManifest) {
  FileRecord file = Record("a.csv", 1);
  file.checksum = "feed";
  const auto back = FilesFromJson(FilesToJson({file}), "test").ValueOrDie();
  ASSERT_EQ(back.size(), 1u);
  EXPECT_TRUE(SameStat(back[0].object, file.object));
  EXPECT_EQ(back[0].checksum, "feed");
  EXPECT_EQ(back[0].digest, file.digest);
}

TEST_F(Keys, SplitCopiesDifferByColumnsCountAndRowNumbers) {
  const std::string key = KeyOf(ShuffleKeyParts("k", 0, {"user"}, 4, false));
  EXPECT_NE(KeyOf(ShuffleKeyParts("k", 1, {"user"}, 4, false)), key);
  EXPECT_NE(KeyOf(ShuffleKeyParts("k", 0, {"item"}, 4, false)), key);
  EXPECT_NE(KeyOf(ShuffleKeyParts("k", 0, {"user"}, 5, false)), key);
  EXPECT_NE(KeyOf(ShuffleKeyParts("k", 0, {"user"}, 4, true)), key);
}

TEST(Reasons, SayWhichComponentDiffersInWords) {
  const std::string a(32, 'a'), b(32, 'b');
  EXPECT_EQ(DescribeDifference({{"features()", a}}, {{"features()", b}}),
            "code of features() changed");
  EXPECT_EQ(
      DescribeDifference({{"module shoplib.session()", a}}, {{"module shoplib.session()", b}}),
      "code of shoplib.session() changed");
  EXPECT_EQ(
      DescribeDifference({{"parameter day", "2026-11-23"}}, {{"parameter day", "2026-11-24"}}),
      "parameter day: 2026-11-23 → 2026-11-24");
  EXPECT_EQ(DescribeDifference({{"file data/clicks-0003.csv.gz", a}},
                               {{"file data/clicks-0003.csv.gz", b}}),
            "file clicks-0003.csv.gz changed");
  EXPECT_EQ(DescribeDifference({{"pandas", "3.1.1"}}, {{"pandas", "3.1.2"}}),
            "pandas: 3.1.1 → 3.1.2");
  EXPECT_EQ(DescribeDifference({{"global WINDOWS", a}}, {{"global WINDOWS", b}}),
            "global WINDOWS changed");
  EXPECT_EQ(DescribeDifference({{"input clicks", a}}, {{"input clicks", b}}),
            "its input clicks changed");
}

TEST(Reasons, NewAndMissingFilesAreNamedAndNotTheirOrder) {
  const std::string a(32, 'a'), b(32, 'b');
  EXPECT_EQ(DescribeDifference({{"files", a}, {"file x.csv", a}},
                               {{"files", b}, {"file x.csv", a}, {"file y.csv", a}}),
            "file y.csv is new");
  EXPECT_EQ(DescribeDifference({{"files", a}, {"file x.csv", a}}, {{"files", b}}),
            "file x.csv is gone");
  EXPECT_EQ(DescribeDifference({{"files", a}}, {{"files", b}}), "the order of its files changed");
}

TEST(Reasons, CodeComesFirstAndTheRestIsCounted) {
  const std::string a(32, 'a'), b(32, 'b');
  EXPECT_EQ(DescribeDifference({{"f()", a}, {"input x", a}, {"pandas", "1"}, {"mode", a}},
                               {{"f()", b}, {"input x", b}, {"pandas", "2"}, {"mode", b}}),
            "code of f() changed; how it is split or what it returns changed; and 2 more");
}

TEST(Reasons, NothingForEqualParts) {
  EXPECT_EQ(DescribeDifference({{"f()", "a"}}, {{"f()", "a"}}), "");
}

}  // namespace
}  // namespace hayate::job
