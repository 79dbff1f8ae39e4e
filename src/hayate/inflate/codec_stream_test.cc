#include "hayate/inflate/codec_stream.h"

#include <arrow/util/compression.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/inflate/inflate.h"

namespace hayate::inflate {
namespace {

std::string Compress(arrow::Compression::type type, const std::string& text) {
  const auto codec = arrow::util::Codec::Create(type).ValueOrDie();
  const auto compressor = codec->MakeCompressor().ValueOrDie();
  std::string out(2 * text.size() + 1024, '\0');
  auto* const room = reinterpret_cast<uint8_t*>(out.data());
  size_t read = 0;
  size_t written = 0;
  while (read < text.size()) {
    const auto step = compressor
                          ->Compress(static_cast<int64_t>(text.size() - read),
                                     reinterpret_cast<const uint8_t*>(text.data()) + read,
                                     static_cast<int64_t>(out.size() - written), room + written)
                          .ValueOrDie();
    read += static_cast<size_t>(step.bytes_read);
    written += static_cast<size_t>(step.bytes_written);
  }
  const auto end =
      compressor->End(static_cast<int64_t>(out.size() - written), room + written).ValueOrDie();
  EXPECT_FALSE(end.should_retry);
  out.resize(written + static_cast<size_t>(end.bytes_written));
  return out;
}

// The text, and the message of an error behind it.
std::string TextOf(const std::string& bytes, size_t piece = 1 << 20, size_t room = 1 << 16) {
  auto stream =
      MakeTextStream(std::make_unique<MemoryStream>(bytes, piece, "shard.zst")).ValueOrDie();
  std::string text;
  std::vector<uint8_t> out(room);
  while (true) {
    const auto n = stream->Read(out);
    if (!n.ok()) {
      EXPECT_EQ(FaultOf(n.status()), Fault::kInput);
      EXPECT_EQ(FaultDetail::Get(n.status())->where().object, "shard.zst");
      return "!" + n.status().message();
    }
    if (*n == 0) return text;
    text.append(reinterpret_cast<const char*>(out.data()), static_cast<size_t>(*n));
  }
}

std::string SomeText() {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + ",日本\n";
  return text;
}

class Codecs : public testing::TestWithParam<arrow::Compression::type> {};

TEST_P(Codecs, GiveTheTextWhateverThePieces) {
  const std::string text = SomeText();
  const std::string frame = Compress(GetParam(), text);
  for (const size_t piece : {size_t{1}, size_t{100}, size_t{1} << 20}) {
    for (const size_t room : {size_t{7}, size_t{1} << 16, size_t{1} << 22}) {
      ASSERT_EQ(TextOf(frame, piece, room), text) << piece << " " << room;
    }
  }
}

TEST_P(Codecs, ReadFramesOneBehindTheOther) {
  const std::string frames =
      Compress(GetParam(), "a,b\n") + Compress(GetParam(), "") + Compress(GetParam(), "1,2\n");
  EXPECT_EQ(TextOf(frames), "a,b\n1,2\n");
  EXPECT_EQ(TextOf(frames, 1, 1), "a,b\n1,2\n");
}

TEST_P(Codecs, NameWhatIsCutOffOrDamaged) {
  const std::string frame = Compress(GetParam(), SomeText());
  for (const size_t left : {frame.size() - 1, frame.size() / 2, size_t{12}}) {
    EXPECT_NE(TextOf(frame.substr(0, left)).find("data ends in the middle of a frame"),
              std::string::npos)
        << left;
  }
  // Where the tables of the first block stand: zstd has no checksum of text here.
  std::string damaged = frame;
  for (size_t at = kCodecMagicBytes; at < kCodecMagicBytes + 20; ++at) damaged[at] ^= 0x55;
  EXPECT_NE(TextOf(damaged).find("data is damaged"), std::string::npos);
  EXPECT_NE(TextOf(frame + "garbage that is no frame").find("data is damaged"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(OfArrow, Codecs,
                         testing::Values(arrow::Compression::ZSTD, arrow::Compression::BZ2));

// What `zstd --long=31` begins a stream with, whose length it does not know.
TEST(MakeCodecStream, SaysWhatAWindowThatIsTooLongNeeds) {
  const auto open = [](uint8_t window) {
    std::string frame("\x28\xb5\x2f\xfd\x04", 5);
    frame += static_cast<char>(window);
    frame += std::string("\x19\0\0a,b", 6);
    return MakeTextStream(std::make_unique<MemoryStream>(frame, 100, "shard.zst")).status();
  };
  constexpr uint8_t kLog27 = (27 - 10) << 3;
  EXPECT_TRUE(open(kLog27).ok());
  const Status status = open(kLog27 + 1);
  EXPECT_EQ(FaultOf(status), Fault::kInput);
  EXPECT_NE(FormatForUser(status).find("--long=27"), std::string::npos);
}

TEST(FindCodecFormat, TellsByContent) {
  EXPECT_EQ(TextOf("BZh1,is,a,name\n"), "BZh1,is,a,name\n");
  EXPECT_EQ(TextOf("BZh"), "BZh");
  // A skippable frame of three bytes, which pzstd begins with.
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0xyz", 11);
  EXPECT_EQ(TextOf(skippable + Compress(arrow::Compression::ZSTD, "a\n")), "a\n");
}

}  // namespace
}  // namespace hayate::inflate
