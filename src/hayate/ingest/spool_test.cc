#include "hayate/ingest/spool.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "hayate/base/memory_stream.h"
#include "hayate/ingest/test_files.h"

namespace hayate::ingest {
namespace {

constexpr int64_t kMostInMemory = 1000;

// Both ways: in memory, and through a file.
class SpoolTest : public ::testing::TestWithParam<int64_t> {
 protected:
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> SpoolOf(std::string bytes,
                                                               int64_t size_bytes) {
    MemoryStream stream(std::move(bytes), 7, "gs://bucket/x");
    return Spool(&stream, {.size_bytes = size_bytes, .most_in_memory = kMostInMemory},
                 files_.Path("."));
  }

  const TestFiles files_;
};

TEST_P(SpoolTest, EveryByteCanBeReadFromAnywhere) {
  std::string bytes;
  for (int64_t i = 0; i < GetParam(); ++i) bytes.push_back(static_cast<char>(i * 31));
  const auto file = SpoolOf(bytes, GetParam());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->GetSize().ValueOrDie(), GetParam());
  for (const int64_t at : {int64_t{0}, GetParam() / 2, GetParam()}) {
    const auto read = (*file)->ReadAt(at, GetParam()).ValueOrDie();
    EXPECT_TRUE(read->ToString() == bytes.substr(static_cast<size_t>(at))) << at;
  }
}

TEST_P(SpoolTest, StreamOfAnotherSizeIsAnErrorThatNamesIt) {
  for (const int64_t difference : {-1, 1}) {
    const int64_t size = GetParam() + difference;
    if (size < 0) continue;
    const auto file = SpoolOf(std::string(static_cast<size_t>(size), 'x'), GetParam());
    ASSERT_FALSE(file.ok()) << size;
    EXPECT_EQ(FaultOf(file.status()), Fault::kInput);
    EXPECT_EQ(FaultDetail::Get(file.status())->where().object, "gs://bucket/x");
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, SpoolTest,
                         ::testing::Values(0, 1, kMostInMemory, kMostInMemory + 1, 100'000));

}  // namespace
}  // namespace hayate::ingest
