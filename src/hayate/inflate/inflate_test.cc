#include "hayate/inflate/inflate.h"

#include <gtest/gtest.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/inflate/input_window.h"
#include "hayate/inflate/test_gzip.h"

namespace hayate::inflate {
namespace {

constexpr const char* kName = "shard.csv.gz";

// The same member with every optional header field of RFC 1952 set.
std::string WithFullHeader(const std::string& member) {
  constexpr size_t kPlainHeaderBytes = 10;
  constexpr char kCrcExtraNameComment = 2 | 4 | 8 | 16;
  std::string header = member.substr(0, kPlainHeaderBytes);
  header[3] = kCrcExtraNameComment;
  const std::string extra(300, 'x');
  header += static_cast<char>(extra.size() & 0xff);
  header += static_cast<char>(extra.size() >> 8);
  header += extra;
  header += std::string("name\0", 5);
  header += std::string("a comment\0", 10);
  const uint32_t crc =
      crc32_gzip_refl(0, reinterpret_cast<const uint8_t*>(header.data()), header.size());
  header += static_cast<char>(crc & 0xff);
  header += static_cast<char>(crc >> 8 & 0xff);
  return header + member.substr(kPlainHeaderBytes);
}

Result<std::string> ReadAll(const std::string& bytes, size_t piece, int64_t window,
                            size_t out_bytes) {
  ARROW_ASSIGN_OR_RAISE(auto stream,
                        MakeTextStream(std::make_unique<MemoryStream>(bytes, piece, kName),
                                       {.input_window_bytes = window}));
  std::string text;
  std::vector<uint8_t> out(out_bytes);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(out));
    if (n == 0) return text;
    text.append(reinterpret_cast<const char*>(out.data()), static_cast<size_t>(n));
  }
}

std::string SomeText(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) text += std::to_string(random() % 5000) + ",abc,\n";
  text.resize(size);
  return text;
}

void ExpectFault(const Result<std::string>& result, const std::string& part) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(FaultOf(result.status()), Fault::kInput);
  EXPECT_NE(result.status().ToString().find(part), std::string::npos) << result.status();
  const auto* detail = FaultDetail::Get(result.status());
  ASSERT_NE(detail, nullptr);
  EXPECT_EQ(detail->where().object, "shard.csv.gz");
  EXPECT_TRUE(detail->where().byte.has_value());
}

TEST(Inflate, PassesPlainTextThrough) {
  for (const std::string text : {"", "a", "ab", "a,b\n1,2\n", "\x1f"}) {
    EXPECT_EQ(ReadAll(text, 1, 16, 3).ValueOrDie(), text);
    EXPECT_EQ(ReadAll(text, 100, 16, 300).ValueOrDie(), text);
  }
}

TEST(Inflate, AnySizeOfPieceWindowAndOutputGivesTheSameText) {
  const std::string text = SomeText(150'000, 1);
  const std::string bytes = GzipOf(text) + GzipOf("") + WithFullHeader(GzipOf("second")) +
                            GzipOf("") + GzipOf("third member") + std::string(700, '\0');
  const std::string expected = text + "second" + "third member";
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000}, bytes.size()}) {
    for (const int64_t window : {1, 2, 9, 17, 4096, 262144}) {
      for (const size_t out : {size_t{1}, size_t{5}, size_t{4099}, size_t{1} << 20}) {
        if (out < 100 && piece > 7) continue;
        const auto got = ReadAll(bytes, piece, window, out);
        ASSERT_TRUE(got.ok()) << got.status();
        ASSERT_EQ(*got == expected, true) << piece << " " << window << " " << out;
      }
    }
  }
}

TEST(Inflate, EveryTruncationIsAnErrorThatNamesTheByte) {
  const std::string bytes = GzipOf(SomeText(3000, 2));
  for (size_t size = 2; size < bytes.size(); ++size) {
    const auto got = ReadAll(bytes.substr(0, size), 1000, 64, 4096);
    ExpectFault(got, "ends in the middle");
    EXPECT_EQ(FaultDetail::Get(got.status())->where().byte, static_cast<int64_t>(size));
  }
}

TEST(Inflate, EveryFlippedByteOfBodyAndTrailerIsAnError) {
  constexpr size_t kPlainHeaderBytes = 10;
  const std::string text = SomeText(3000, 3);
  const std::string bytes = GzipOf(text);
  int harmless = 0;
  for (size_t at = kPlainHeaderBytes; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    const auto got = ReadAll(damaged, 1000, 64, 4096);
    // The length of a code that no symbol of this text uses may change without harm.
    if (got.ok()) {
      EXPECT_EQ(*got == text, true) << at;
      ++harmless;
    } else {
      EXPECT_EQ(FaultOf(got.status()), Fault::kInput);
    }
  }
  EXPECT_LT(harmless, 10);
}

TEST(Inflate, WrongLengthInTheTrailerIsAnError) {
  std::string bytes = GzipOf("some text");
  bytes.back() = 1;
  ExpectFault(ReadAll(bytes, 1000, 4096, 100), "checksum or length");
}

TEST(Inflate, BytesAfterTheLastMemberAreAnError) {
  ExpectFault(ReadAll(GzipOf("text") + "junk", 1000, 4096, 100), "after the last member");
  ExpectFault(ReadAll(GzipOf("text") + std::string(3, '\0') + GzipOf("x"), 1000, 4096, 100),
              "after the last member");
}

#ifdef HAYATE_SANITIZED
// A one-byte overrun of the window, as a broken inflater would do it, must not go unseen: the byte
// after every fill is on the guard page. Volatile, so that no compiler and no shadow memory is
// asked.
TEST(InputWindowDeathTest, OneByteBehindTheWindowTraps) {
  for (const size_t size : {size_t{1}, size_t{100}, size_t{4096}}) {
    auto window = InputWindow::Make(4096).ValueOrDie();
    MemoryStream bytes(std::string(size, 'x'), 4096);
    const auto data = window->Fill(&bytes).ValueOrDie();
    const volatile uint8_t* last = data.data() + data.size() - 1;
    EXPECT_EQ(*last, 'x');
    EXPECT_DEATH(static_cast<void>(last[1]), "");
  }
}

// What the stream does, but for a lie of one byte about the room that there is.
TEST(OutputWindowDeathTest, OneByteBehindTheWindowTraps) {
  std::string member = GzipOf("abcdefgh");
  const auto inflate = [&](uint32_t lie) {
    const auto buffer = GuardedBuffer::Make(7).ValueOrDie();
    inflate_state state;
    isal_inflate_init(&state);
    state.crc_flag = ISAL_GZIP;
    state.next_in = reinterpret_cast<uint8_t*>(member.data());
    state.avail_in = static_cast<uint32_t>(member.size());
    state.next_out = buffer.bytes().data();
    state.avail_out = static_cast<uint32_t>(buffer.bytes().size()) + lie;
    EXPECT_EQ(isal_inflate(&state), ISAL_DECOMP_OK);
  };
  inflate(0);
  EXPECT_DEATH(inflate(1), "");
}
#endif

}  // namespace
}  // namespace hayate::inflate
