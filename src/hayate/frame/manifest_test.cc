#include "hayate/frame/manifest.h"

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>

#include "hayate/base/file.h"
#include "hayate/frame/test_data_internal.h"

namespace hayate::frame {
namespace {

Manifest Sample() {
  Manifest manifest;
  manifest.name = "clicks";
  manifest.key = "0123456789abcdef0123456789abcdef";
  manifest.key_parts = {{"options", "11"}, {"file a", "22"}};
  manifest.schema = TestSchema()->WithMetadata(arrow::key_value_metadata({"pandas"}, {"\x00\xff"}));
  for (int64_t i = 0; i < 3; ++i) {
    Part part;
    part.number = i;
    part.file = PartFileName(i, ".arrow");
    part.rows = 10 + i;
    part.bytes = 100;
    part.checksum = "aa";
    part.schema = i == 0 ? manifest.schema : arrow::schema({arrow::field("x", arrow::null())});
    part.inexact_as_double = {"id"};
    part.finest_unit = {{"at", arrow::TimeUnit::MICRO}};
    part.extra = {{"metric", 1.5}};
    manifest.parts.push_back(part);
  }
  manifest.rows = 33;
  manifest.bytes = 300;
  manifest.created = "2026-11-24T00:00:00Z";
  manifest.warnings = {"column x widened"};
  manifest.extra = {{"partitions", 4}};
  return manifest;
}

TEST(Manifest, ComesBackFromJsonAsItWas) {
  const Manifest manifest = Sample();
  const Json json = ToJson(manifest);
  const auto read = ManifestFromJson(json, "frame.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), json);
  EXPECT_TRUE(read->schema->Equals(*manifest.schema, /*check_metadata=*/true));
  ASSERT_EQ(read->parts.size(), 3U);
  EXPECT_TRUE(read->parts[0].schema->Equals(*manifest.schema));
  EXPECT_EQ(read->parts[2].schema->field(0)->type()->id(), arrow::Type::NA);
  EXPECT_EQ(json["schemas"].size(), 1U) << "each schema stands there once";
}

TEST(Manifest, PartComesBackFromItsSidecar) {
  Part part = Sample().parts[1];
  part.groups = {{3, 1}, {9, 4}};
  const auto read = PartFromJson(ToJson(part), "part-00001.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), ToJson(part));
  EXPECT_EQ(read->groups, part.groups);
}

TEST(Manifest, IsReadableByPeople) {
  const Json json = ToJson(Sample());
  EXPECT_EQ(json["schema"]["columns"][0], Json({"id", "int64"}));
}

TEST(Manifest, IsWrittenAndRead) {
  const TestDirectory dir;
  ASSERT_TRUE(WriteManifest(dir.path(), Sample()).ok());
  const auto read = ReadManifest(dir.path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), ToJson(Sample()));
}

TEST(Manifest, AnotherFormatIsRefused) {
  Json json = ToJson(Sample());
  json["format"] = kFrameFormat + 1;
  const auto read = ManifestFromJson(json, "frame.json");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(FaultOf(read.status()), Fault::kInput);
}

TEST(Manifest, DamageIsAnErrorAndNeverACrash) {
  const std::string text = ToJson(Sample()).dump();
  for (const char* member : {"name", "schema", "schemas", "parts", "rows"}) {
    Json json = ToJson(Sample());
    json.erase(member);
    EXPECT_FALSE(ManifestFromJson(json, "f").ok()) << member;
    json[member] = true;
    EXPECT_FALSE(ManifestFromJson(json, "f").ok()) << member;
  }
  Json json = ToJson(Sample());
  json["schema"]["ipc"] = "AAAAAAAAAAAA";
  EXPECT_FALSE(ManifestFromJson(json, "f").ok());
  json = ToJson(Sample());
  json["parts"][0]["file"] = "../../etc/passwd";
  EXPECT_FALSE(ManifestFromJson(json, "f").ok());
  json = ToJson(Sample());
  json["parts"][1]["schema"] = 5;
  EXPECT_FALSE(ManifestFromJson(json, "f").ok());
}

TEST(Manifest, PartFileNamesSortByNumber) {
  EXPECT_EQ(PartFileName(7, ".arrow"), "part-00007.arrow");
  EXPECT_LT(PartFileName(99, ".json"), PartFileName(100, ".json"));
}

}  // namespace
}  // namespace hayate::frame
