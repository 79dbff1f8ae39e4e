#include "hayate/cloud/crc32c.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "hayate/cloud/test_server_internal.h"

namespace hayate::cloud {
namespace {

// The definition itself, bit by bit.
uint32_t Slow(const std::string& bytes) {
  constexpr uint32_t kReversedPolynomial = 0x82F63B78;
  uint32_t crc = ~uint32_t{0};
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (kReversedPolynomial & (~(crc & 1) + 1));
  }
  return ~crc;
}

TEST(Crc32cTest, IsTheOneOfTheStandard) {
  EXPECT_EQ(Crc32c(0, SpanOf("123456789")), 0xE3069283);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(0, SpanOf(std::string(32, '\0'))), 0x8A9136AA);
  EXPECT_EQ(Crc32c(0, SpanOf(std::string(32, '\xFF'))), 0x62A8AB43);
  EXPECT_EQ(Crc32c(0, {}), 0U);
}

TEST(Crc32cTest, OfPiecesIsThatOfTheWhole) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    const std::string bytes = RandomBytes(random(), random() % 3000);
    uint32_t crc = 0;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(1 + random() % 700, bytes.size() - at);
      crc = Crc32c(crc, SpanOf(bytes).subspan(at, n));
      at += n;
    }
    ASSERT_EQ(crc, Slow(bytes)) << "round " << round;
    ASSERT_EQ(Crc32c(0, SpanOf(bytes)), Slow(bytes)) << "round " << round;
  }
}

}  // namespace
}  // namespace hayate::cloud
