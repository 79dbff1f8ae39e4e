#include "hayate/csv/decode.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

// The text, or the message of the error.
std::string DecodeIn(const std::string& bytes, const std::string& encoding, EncodingErrors errors,
                     size_t piece_bytes, size_t read_bytes) {
  auto stream =
      MakeDecodedStream(std::make_unique<MemoryStream>(bytes, piece_bytes), encoding, errors);
  if (!stream.ok()) return stream.status().message();
  std::string text;
  std::vector<uint8_t> room(read_bytes);
  while (true) {
    const auto n = (*stream)->Read(room);
    if (!n.ok()) return text + "!" + n.status().message();
    if (*n == 0) return text;
    text.append(reinterpret_cast<const char*>(room.data()), static_cast<size_t>(*n));
  }
}

std::string Decode(const std::string& bytes, const std::string& encoding,
                   EncodingErrors errors = EncodingErrors::kStrict) {
  const std::string whole = DecodeIn(bytes, encoding, errors, 1 << 20, 1 << 20);
  for (const auto& [piece, read] : {std::pair{1, 1}, {2, 3}, {3, 100}, {7, 2}}) {
    EXPECT_EQ(
        DecodeIn(bytes, encoding, errors, static_cast<size_t>(piece), static_cast<size_t>(read)),
        whole)
        << encoding;
  }
  return whole;
}

TEST(Decode, KnowsNamesAsPeopleWriteThem) {
  for (const char* name :
       {"latin-1", "latin1", "Latin_1", "iso-8859-1", "ISO8859-1", "cp1252", "windows-1252"}) {
    EXPECT_EQ(Decode("caf\xe9", name), "café") << name;
  }
  for (const char* name : {"cp932", "shift_jis", "Shift-JIS", "sjis"}) {
    EXPECT_EQ(Decode("\x93\xfa\x96\x7b", name), "日本") << name;
  }
  EXPECT_EQ(Decode("\xc6\xfc\xcb\xdc", "euc-jp"), "日本");
  EXPECT_EQ(Decode("C:\\~\x93\xfa\x81\x8f\x81\x60", "shift_jis"), "C:\\~日￥〜");
  for (const char* name : {"utf-8", "UTF8", "utf_8", "utf-8-sig"}) {
    EXPECT_EQ(Decode("日本", name), "日本") << name;
  }
  EXPECT_EQ(CheckEncoding("utf-9").message(),
            "the encoding \"utf-9\" is not known on this machine");
  EXPECT_EQ(FaultOf(CheckEncoding("")), Fault::kUsage);
}

TEST(Decode, EveryByteOfLatin1IsItsCodePoint) {
  std::string bytes;
  std::string expected;
  for (int byte = 0; byte < 256; ++byte) {
    bytes += static_cast<char>(byte);
    if (byte < 0x80) {
      expected += static_cast<char>(byte);
    } else {
      expected += static_cast<char>(0xc0 | (byte >> 6));
      expected += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  EXPECT_EQ(Decode(bytes, "latin-1"), expected);
}

TEST(Decode, Utf16ObeysItsMark) {
  const std::string little(
      "\xff\xfe"
      "a\0\xe5\x65\x3d\xd8\x00\xde",
      10);
  const std::string big("\xfe\xff\0a\x65\xe5\xd8\x3d\xde\x00", 10);
  EXPECT_EQ(Decode(little, "utf-16"), "a日😀");
  EXPECT_EQ(Decode(big, "utf-16"), "a日😀");
  EXPECT_EQ(Decode(little.substr(2), "utf-16-le"), "a日😀");
  EXPECT_EQ(Decode(big.substr(2), "utf_16_be"), "a日😀");
}

TEST(Decode, WhatIsNoTextIsNamedOrReplaced) {
  EXPECT_EQ(Decode("ab\x81"
                   "c",
                   "cp1252"),
            "ab!the text is not cp1252: byte 0x81 at offset 2 of the text");
  EXPECT_EQ(Decode("ab\x81"
                   "c",
                   "cp1252", EncodingErrors::kReplace),
            "ab\xef\xbf\xbd"
            "c");
  EXPECT_EQ(Decode("\x93", "cp932"), "!the text is not cp932: byte 0x93 at offset 0 of the text");
  EXPECT_EQ(Decode("a\x93", "cp932", EncodingErrors::kReplace), "a\xef\xbf\xbd");
  const std::string lone(
      "a\0\x3d\xd8"
      "b\0",
      6);
  EXPECT_EQ(Decode(lone, "utf-16-le", EncodingErrors::kReplace),
            "a\xef\xbf\xbd"
            "b");
}

// Python's bytes.decode("utf-8", "replace") of these, in Unicode's own examples and others.
TEST(Decode, ReplacesEachMaximalPartOfUtf8) {
  const std::string r = "\xef\xbf\xbd";
  const auto replaced = [](const std::string& bytes) {
    return Decode(bytes, "utf-8", EncodingErrors::kReplace);
  };
  EXPECT_EQ(replaced("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(replaced("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(replaced("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"),
            r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(replaced("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), r + r + r + r + "A");
  EXPECT_EQ(replaced("日\xe6\x97"), "日" + r);
  EXPECT_EQ(replaced("日本"), "日本");
}

// Unicode 15, table 3-7, a byte at a time; what is no sequence becomes one U+FFFD.
std::string RepairSlowly(const std::string& bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  std::string text;
  size_t at = 0;
  while (at < bytes.size()) {
    const uint8_t first = byte(at);
    const size_t length = first < 0x80                     ? 1
                          : first >= 0xc2 && first <= 0xdf ? 2
                          : first >= 0xe0 && first <= 0xef ? 3
                          : first >= 0xf0 && first <= 0xf4 ? 4
                                                           : 0;
    size_t end = at + 1;
    for (; end < bytes.size() && end < at + length; ++end) {
      const bool second = end == at + 1;
      const int low = second && first == 0xe0 ? 0xa0 : second && first == 0xf0 ? 0x90 : 0x80;
      const int high = second && first == 0xed ? 0x9f : second && first == 0xf4 ? 0x8f : 0xbf;
      if (byte(end) < low || byte(end) > high) break;
    }
    text += end == at + length ? bytes.substr(at, length) : "\xef\xbf\xbd";
    at = end;
  }
  return text;
}

std::string SomeBytes(std::mt19937* random, size_t size) {
  constexpr std::string_view kEdges =
      "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xef\xf0\xf1\xf4\xf5\xff";
  std::string bytes;
  while (bytes.size() < size) bytes += kEdges[(*random)() % kEdges.size()];
  return bytes;
}

TEST(Decode, RepairsUtf8AsTheSlowReference) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes = SomeBytes(&random, random() % 14);
    ASSERT_EQ(Decode(bytes, "utf-8", EncodingErrors::kReplace), RepairSlowly(bytes));
  }
  // Where windows end.
  for (size_t before = 65520; before < 65540; ++before) {
    const std::string bytes = std::string(before, 'a') + SomeBytes(&random, 40);
    ASSERT_EQ(DecodeIn(bytes, "utf-8", EncodingErrors::kReplace, 1 << 20, 1 << 20),
              RepairSlowly(bytes));
  }
}

TEST(Decode, ALetterAtTheEndIsNotHeldBack) {
  EXPECT_EQ(Decode("xin a", "cp1258"), "xin a");
  EXPECT_EQ(Decode("a\xcc", "cp1258"), "à");
  EXPECT_EQ(Decode("\xf9\xec\xe5\xed", "cp1255"), "שלום");
  EXPECT_EQ(Decode("\x87", "tscii"), "க்ஷ");
}

// Tamil: letters that iconv holds back of one call and writes in the next need room in that one.
TEST(Decode, LettersHeldBackDoNotDependOnThePieces) {
  EXPECT_EQ(Decode("\xf6\x82\x81\x04", "tscii"), "ய்ஸ்ரீ௧\x04");
}

TEST(Decode, ABadPairAtTheEndOfAWindowIsNamed) {
  const std::string bytes = std::string(65534, 'a') + "\xa2\xe8";
  EXPECT_NE(DecodeIn(bytes, "cp949", EncodingErrors::kStrict, 1 << 20, 1 << 20)
                .find("the text is not cp949: byte 0xe8 at offset 65535 of the text"),
            std::string::npos);
}

TEST(Decode, WhatIsReplacedIsAlwaysUtf8) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {"a",    "\xc3", "\xa9", "é",    "日", "\xe6", "\x97",
                                          "\xf0", "\x9f", "\x98", "\x80", "😀", "\xff", "\xed\xa0"};
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (unsigned i = random() % 40; i > 0; --i) bytes += parts[random() % parts.size()];
    ASSERT_TRUE(IsUtf8(Decode(bytes, "utf-8", EncodingErrors::kReplace)));
  }
}

}  // namespace
}  // namespace hayate::csv
