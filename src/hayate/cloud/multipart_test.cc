#include "hayate/cloud/multipart.h"

#include <gtest/gtest.h>

#include <random>

namespace hayate::cloud {
namespace {

const char kName[] = "gs://bucket/first";
const char kType[] = "multipart/mixed; boundary=xyz";

std::string PartOf(const std::string& id, int status, const std::string& body = "") {
  return "--xyz\r\nContent-Type: application/http\r\n" +
         (id.empty() ? "" : "Content-ID: <response-hayate+" + id + ">\r\n") + "\r\nHTTP/1.1 " +
         std::to_string(status) + " Word\r\nContent-Type: application/json\r\n\r\n" + body + "\r\n";
}

std::vector<int> Statuses(const Result<std::vector<HttpResponse>>& answers) {
  EXPECT_TRUE(answers.ok()) << answers.status();
  std::vector<int> statuses;
  if (!answers.ok()) return statuses;
  for (const HttpResponse& answer : *answers) statuses.push_back(answer.status);
  return statuses;
}

void ExpectDamaged(const std::string& type, const std::string& body, size_t count) {
  const auto answers = ReadMultipart(type, body, count, kName);
  ASSERT_FALSE(answers.ok()) << type << "\n" << body;
  EXPECT_EQ(FaultOf(answers.status()), Fault::kStorage) << answers.status();
  EXPECT_EQ(FaultDetail::Get(answers.status())->where().object, kName);
}

TEST(MultipartTest, WritesWhatTheServiceReads) {
  const Multipart multipart =
      WriteMultipart({"DELETE /a HTTP/1.1\r\n\r\n", "DELETE /b HTTP/1.1\r\n\r\n"});
  EXPECT_EQ(multipart.content_type, "multipart/mixed; boundary=hayate-batch");
  EXPECT_EQ(multipart.body,
            "--hayate-batch\r\nContent-Type: application/http\r\n"
            "Content-Transfer-Encoding: binary\r\nContent-ID: <hayate+0>\r\n\r\n"
            "DELETE /a HTTP/1.1\r\n\r\n\r\n"
            "--hayate-batch\r\nContent-Type: application/http\r\n"
            "Content-Transfer-Encoding: binary\r\nContent-ID: <hayate+1>\r\n\r\n"
            "DELETE /b HTTP/1.1\r\n\r\n\r\n"
            "--hayate-batch--\r\n");
}

TEST(MultipartTest, AnswersAreInTheOrderOfTheRequestsWhateverTheirsIs) {
  const std::string body =
      PartOf("2", 503, "{}") + PartOf("0", 204) + PartOf("1", 404, "line\r\nline") + "--xyz--\r\n";
  const auto answers = ReadMultipart(kType, body, 3, kName);
  EXPECT_EQ(Statuses(answers), (std::vector<int>{204, 404, 503}));
  EXPECT_EQ((*answers)[1].body, "line\r\nline\r");
  EXPECT_EQ(Statuses(ReadMultipart(kType, PartOf("", 204) + PartOf("", 404) + "--xyz--", 2, kName)),
            (std::vector<int>{204, 404}))
      << "without ids in their own order";
}

TEST(MultipartTest, TakesEverySpellingOfTheSame) {
  const std::string body = PartOf("0", 204) + "--xyz--";
  for (const char* type : {"multipart/mixed; boundary=\"xyz\"", "multipart/mixed;BOUNDARY=xyz",
                           "Multipart/Mixed; boundary=xyz; charset=utf-8"}) {
    EXPECT_EQ(Statuses(ReadMultipart(type, body, 1, kName)), std::vector<int>{204}) << type;
  }
  std::string bare = body;
  std::erase(bare, '\r');
  EXPECT_EQ(Statuses(ReadMultipart(kType, "preamble\n" + bare + "\nepilogue", 1, kName)),
            std::vector<int>{204});
}

TEST(MultipartTest, WhatIsNotAllThereIsAnError) {
  const std::string whole = PartOf("0", 204) + PartOf("1", 204) + "--xyz--\r\n";
  ExpectDamaged(kType, PartOf("0", 204) + "--xyz--\r\n", 2);
  ExpectDamaged(kType, PartOf("0", 204) + PartOf("0", 204) + "--xyz--\r\n", 2);
  ExpectDamaged(kType, PartOf("0", 204) + PartOf("0", 403) + "--xyz--\r\n", 1);
  ExpectDamaged(kType, whole, 1);
  ExpectDamaged(kType, whole, 3);
  ExpectDamaged(kType, PartOf("7", 204) + "--xyz--", 1);
  ExpectDamaged(kType, PartOf("18446744073709551615", 204) + "--xyz--", 1);
  ExpectDamaged(kType, "", 1);
  ExpectDamaged(kType, "--xyz--", 1);
  ExpectDamaged("multipart/mixed; boundary=abc", whole, 2);
  for (const char* type :
       {"", "text/html", "multipart/mixed; boundary=", "boundary=\"\"", "boundary=\""}) {
    ExpectDamaged(type, whole, 2);
  }
}

TEST(MultipartTest, PartWithoutAStatusIsToBeAskedForAgain) {
  for (const std::string line :
       {"", "HTTP/", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 abc", "HTTP/1.1 99999999999", "204"}) {
    const auto answers = ReadMultipart(
        kType, "--xyz\r\nContent-ID: <hayate+0>\r\n\r\n" + line + "\r\n\r\n--xyz--", 1, kName);
    EXPECT_EQ(Statuses(answers), std::vector<int>{0}) << line;
    EXPECT_NE((*answers)[0].error, "") << line;
  }
}

// Any damage to an answer gives as many answers as were asked for, or an error.
TEST(MultipartTest, RandomDamageNeverGivesMoreThanWasAskedFor) {
  constexpr uint64_t kSeed = 20261124;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  const std::string snippets[] = {
      "--xyz",   "--xyz--",   "\r\n",     "\n", "Content-ID: <response-hayate+1>",
      "hayate+", "HTTP/1.1 ", "\r\n\r\n", "--", ":"};
  int damaged = 0;
  for (int round = 0; round < 20'000; ++round) {
    const size_t count = random() % 5;
    std::string body;
    for (size_t i = 0; i < count; ++i) body += PartOf(std::to_string(i), 204, "{}");
    body += "--xyz--\r\n";
    std::string type = kType;
    for (size_t hits = random() % 4; hits > 0; --hits) {
      std::string& hit = random() % 8 == 0 ? type : body;
      const size_t at = random() % (hit.size() + 1);
      switch (random() % 4) {
        case 0:
          hit.resize(at);
          break;
        case 1:
          hit.insert(at, snippets[random() % std::size(snippets)]);
          break;
        case 2:
          hit.erase(at, 1 + random() % 20);
          break;
        default:
          if (at < hit.size()) hit[at] = static_cast<char>(random());
          break;
      }
      if (hit.empty()) break;
    }
    const size_t asked = random() % 8 == 0 ? random() % 6 : count;
    const auto answers = ReadMultipart(type, body, asked, kName);
    if (answers.ok()) {
      ASSERT_EQ(answers->size(), asked) << "round " << round;
    } else {
      ++damaged;
      ASSERT_EQ(FaultOf(answers.status()), Fault::kStorage) << "round " << round;
    }
  }
  EXPECT_GT(damaged, 1000);
  EXPECT_LT(damaged, 19'000);
}

}  // namespace
}  // namespace hayate::cloud
