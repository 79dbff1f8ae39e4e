#include "hayate/cloud/retry.h"

#include <gtest/gtest.h>

#include <string>

#include "hayate/base/json.h"
#include "hayate/cloud/test_server_internal.h"

namespace hayate::cloud {
namespace {

using std::chrono::milliseconds;

HttpResponse Refused(const std::string& reason, const std::string& message = "no") {
  const ServerResponse error = FakeStorage::Error(403, reason, message);
  return {.status = 403, .body = error.body};
}

TEST(JudgeTest, GoesByTheStatus) {
  const std::pair<int, Verdict> cases[] = {
      {200, Verdict::kDone},      {204, Verdict::kDone},    {206, Verdict::kDone},
      {299, Verdict::kDone},      {0, Verdict::kAgain},     {408, Verdict::kAgain},
      {429, Verdict::kAgain},     {500, Verdict::kAgain},   {502, Verdict::kAgain},
      {503, Verdict::kAgain},     {504, Verdict::kAgain},   {401, Verdict::kUnauthorized},
      {301, Verdict::kRefused},   {304, Verdict::kRefused}, {400, Verdict::kRefused},
      {403, Verdict::kRefused},   {404, Verdict::kRefused}, {412, Verdict::kRefused},
      {416, Verdict::kRefused},   {501, Verdict::kRefused}, {100, Verdict::kRefused},
      {99999, Verdict::kRefused}, {-200, Verdict::kRefused}};
  for (const auto& [status, verdict] : cases) {
    EXPECT_EQ(Judge({.status = status}), verdict) << status;
  }
}

TEST(JudgeTest, TransferThatBrokeIsTriedAgainWhateverItsStatus) {
  for (const int status : {0, 200, 206, 401, 404}) {
    EXPECT_EQ(Judge({.status = status, .error = "reset"}), Verdict::kAgain) << status;
  }
}

TEST(JudgeTest, QuotaOfARatePassesAndMissingRightsDoNot) {
  for (const char* reason :
       {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"}) {
    EXPECT_EQ(Judge(Refused(reason)), Verdict::kAgain) << reason;
  }
  for (const char* reason : {"forbidden", "insufficientPermissions", "accountDisabled", ""}) {
    EXPECT_EQ(Judge(Refused(reason)), Verdict::kRefused) << reason;
  }
  EXPECT_EQ(Judge({.status = 404, .body = Refused("rateLimitExceeded").body}), Verdict::kRefused);
}

TEST(JudgeTest, BodyThatIsNoErrorOfTheServiceDecidesNothing) {
  for (const char* body :
       {"", "<html>rateLimitExceeded</html>", "null", "[]", "3", "{}", R"({"error": null})",
        R"({"error": "rateLimitExceeded"})", R"({"error": {"errors": []}})",
        R"({"error": {"errors": {"reason": "rateLimitExceeded"}}})",
        R"({"error": {"errors": ["rateLimitExceeded"]}})",
        R"({"error": {"errors": [{"reason": 5}], "message": []}})"}) {
    EXPECT_EQ(Judge({.status = 403, .body = body}), Verdict::kRefused) << body;
    EXPECT_EQ(Describe({.status = 403, .body = body}), "403 Forbidden") << body;
  }
}

TEST(WaitAfterTest, IsDrawnBelowABoundThatDoublesUpToTheLongest) {
  const RetryPolicy policy{.first_wait = milliseconds(500), .longest_wait = milliseconds(32'000)};
  for (const auto& [attempts, bound] : {std::pair{1, 1000},
                                        {2, 2000},
                                        {3, 4000},
                                        {6, 32'000},
                                        {7, 32'000},
                                        {100, 32'000},
                                        {1 << 30, 32'000},
                                        {0, 1000}}) {
    milliseconds least = milliseconds::max();
    milliseconds most{-1};
    for (int i = 0; i < 2000; ++i) {
      const auto wait = WaitAfter(policy, attempts, {});
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    EXPECT_GE(least.count(), 0) << attempts;
    EXPECT_LE(most.count(), bound) << attempts;
    // 2,000 even draws miss a tenth at either end once in 10^91.
    EXPECT_LT(least.count(), bound / 10) << attempts;
    EXPECT_GT(most.count(), bound - bound / 10) << attempts;
  }
}

TEST(WaitAfterTest, IsNotLessThanWhatTheServiceAsksForWithinTheLongest) {
  const RetryPolicy policy{.first_wait = milliseconds(1), .longest_wait = milliseconds(32'000)};
  const auto wait = [&](const std::string& text) {
    return WaitAfter(policy, 1, {.status = 503, .headers = {{"retry-after", text}}}).count();
  };
  EXPECT_EQ(wait("7"), 7000);
  EXPECT_EQ(wait("32"), 32'000);
  EXPECT_EQ(wait("33"), 32'000);
  EXPECT_EQ(wait("9223372036854775807"), 32'000);
  EXPECT_LE(wait("0"), 2);
}

TEST(WaitAfterTest, NonsenseInRetryAfterIsNoWait) {
  const RetryPolicy policy{.first_wait = milliseconds(1), .longest_wait = milliseconds(32'000)};
  for (const std::string& text : std::vector<std::string>{
           "", " ", "-1", "-9223372036854775808", "9223372036854775808", "1e9", "7 ", " 7", "7s",
           "0x10", "Wed, 21 Oct 2037 07:28:00 GMT", "\xFF\xFE", std::string(1 << 16, '9')}) {
    const auto wait = WaitAfter(policy, 1, {.headers = {{"retry-after", text}}});
    EXPECT_LE(wait.count(), 2) << text.substr(0, 40);
    EXPECT_GE(wait.count(), 0) << text.substr(0, 40);
  }
}

TEST(WaitAfterTest, PolicyWithoutWaitsWaitsNot) {
  const RetryPolicy policy{.first_wait = milliseconds(0), .longest_wait = milliseconds(0)};
  EXPECT_EQ(WaitAfter(policy, 5, {.headers = {{"retry-after", "100"}}}).count(), 0);
}

TEST(DescribeTest, SaysStatusAndMessageOrWhyTheTransferFailed) {
  EXPECT_EQ(Describe({.status = 503}), "503 Service Unavailable");
  EXPECT_EQ(Describe({.status = 599}), "599");
  EXPECT_EQ(Describe(Refused("forbidden", "no access")), "403 Forbidden: no access");
  EXPECT_EQ(Describe({.status = 200, .error = "connection reset"}), "connection reset");
  EXPECT_FALSE(Describe({}).empty()) << "an answer without anything is described, too";
}

// Whether all of it can be printed on one line: no control character of ASCII or of Latin-1, and
// UTF-8 throughout.
bool IsPlainLine(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < ' ' || byte == 0x7F) return false;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      return false;
    }
  }
  // The parser of JSON takes nothing but UTF-8.
  return Json::accept("\"" + [&] {
    std::string bare = text;
    std::erase(bare, '"');
    std::erase(bare, '\\');
    return bare;
  }() + "\"");
}

TEST(DescribeTest, HasNoControlCharacterAndIsUtf8) {
  const std::string nasty =
      "a\nb\r\tc\x1B[31m\x7F d\xC2\x85 e\xC2\x9B f" + std::string(1, '\0') + "g é 東京";
  for (const HttpResponse& response :
       {Refused("forbidden", nasty), HttpResponse{.status = 0, .error = nasty}}) {
    const std::string text = Describe(response);
    EXPECT_TRUE(IsPlainLine(text)) << text;
    EXPECT_NE(text.find("東京"), std::string::npos) << "what can be printed stays: " << text;
  }
  EXPECT_TRUE(IsPlainLine(Describe({.status = 0, .error = "bad \xFF\xC3 bytes \xE6\x9D"})));
}

TEST(DescribeTest, IsBoundedAndNotCutInsideOfACharacter) {
  constexpr size_t kSome = 400;
  for (size_t before = 0; before < 8; ++before) {
    std::string message(before, 'x');
    for (int i = 0; i < 1000; ++i) message += i % 2 == 0 ? "é" : "東";
    for (const HttpResponse& response :
         {Refused("forbidden", message), HttpResponse{.status = 200, .error = message}}) {
      const std::string text = Describe(response);
      EXPECT_LE(text.size(), kSome);
      EXPECT_TRUE(IsPlainLine(text)) << text;
    }
  }
}

TEST(DescribeTest, DeepNestingIsNoTrouble) {
  const std::string deep(1 << 20, '[');
  EXPECT_EQ(Describe({.status = 500, .body = deep}), "500 Internal Server Error");
  const std::string closed =
      R"({"error":)" + std::string(1 << 18, '[') + std::string(1 << 18, ']') + "}";
  EXPECT_EQ(Describe({.status = 500, .body = closed}), "500 Internal Server Error");
}

}  // namespace
}  // namespace hayate::cloud
