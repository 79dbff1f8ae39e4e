#include "hayate/cloud/storage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hayate/cloud/test_server_internal.h"

namespace hayate::cloud {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class StorageTest : public ::testing::Test {
 protected:
  std::unique_ptr<CloudStorage> Make(StorageOptions options = {.retry = FastRetry()}) {
    if (options.endpoint == StorageOptions().endpoint) options.endpoint = fake_.url();
    options.on_retry = [this](const std::string& what) {
      const std::lock_guard<std::mutex> lock(mutex_);
      notes_.push_back(what);
      noted_.notify_all();
    };
    auto storage = CloudStorage::Make(std::move(options));
    EXPECT_TRUE(storage.ok()) << storage.status();
    return std::move(storage).ValueOrDie();
  }

  std::vector<std::string> notes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return notes_;
  }

  [[nodiscard]] bool WaitForNote() {
    std::unique_lock<std::mutex> lock(mutex_);
    return noted_.wait_for(lock, kLongestWait, [&] { return !notes_.empty(); });
  }

  std::vector<std::string> Uris(const Result<std::vector<source::Object>>& objects) {
    EXPECT_TRUE(objects.ok()) << objects.status();
    std::vector<std::string> uris;
    if (!objects.ok()) return uris;
    for (const source::Object& object : *objects) uris.push_back(object.uri);
    return uris;
  }

  FakeStorage fake_;

 private:
  std::mutex mutex_;
  std::condition_variable noted_;
  std::vector<std::string> notes_;
};

using Strings = std::vector<std::string>;

void ExpectFault(const Status& status, Fault fault, const std::string& object) {
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FaultName(FaultOf(status)), FaultName(fault)) << status;
  ASSERT_NE(FaultDetail::Get(status), nullptr) << status;
  EXPECT_EQ(FaultDetail::Get(status)->where().object, object) << status;
}

TEST(ParseUriTest, TakesBucketAndNameAndNothingElse) {
  const std::tuple<std::string, std::string, std::string> good[] = {
      {"gs://bucket/name", "bucket", "name"},
      {"gs://bucket", "bucket", ""},
      {"gs://bucket/", "bucket", ""},
      {"gs://b-1.x_y/a/b c?#%25", "b-1.x_y", "a/b c?#%25"},
      {"gs://bucket//name", "bucket", "/name"},
      {"gs://bucket/..", "bucket", ".."}};
  for (const auto& [uri, bucket, name] : good) {
    const auto parsed = ParseUri(uri);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->bucket, bucket);
    EXPECT_EQ(parsed->name, name);
  }
  for (const std::string uri :
       {"", "gs:", "gs:/", "gs://", "gs:///name", "GS://bucket/name", "s3://bucket/name",
        "/bucket/name", " gs://bucket", "http://bucket/name"}) {
    const auto parsed = ParseUri(uri);
    ASSERT_FALSE(parsed.ok()) << uri;
    EXPECT_EQ(FaultOf(parsed.status()), Fault::kUsage);
    EXPECT_NE(parsed.status().ToString().find("\"" + uri + "\""), std::string::npos);
  }
}

TEST_F(StorageTest, ListsAllPagesOfAPrefixByName) {
  std::vector<source::Object> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(fake_.Put("bucket", "run/part-" + std::to_string(i), RandomBytes(i, 10 * i)));
  }
  fake_.Put("bucket", "run2/x", "no");
  fake_.Put("bucket", "ru", "no");
  fake_.set_page_size(3);
  const auto storage = Make({.endpoint = fake_.url() + "//", .retry = FastRetry()});
  const auto listed = storage->List("gs://bucket/run/");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ((*listed)[i].uri, all[i].uri);
    EXPECT_EQ((*listed)[i].size_bytes, all[i].size_bytes);
    EXPECT_EQ((*listed)[i].generation, all[i].generation);
    EXPECT_EQ((*listed)[i].crc32c, all[i].crc32c);
  }
  EXPECT_EQ(fake_.server().requests().size(), 4U);
  EXPECT_EQ(storage->List("gs://bucket")->size(), 12U);
  EXPECT_EQ(notes(), Strings{});
}

TEST_F(StorageTest, EmptyListingIsNoErrorAndAMissingBucketIs) {
  fake_.MakeBucket("bucket");
  const auto storage = Make();
  EXPECT_EQ(Uris(storage->List("gs://bucket/none")), Strings{});
  ExpectFault(storage->List("gs://other/none").status(), Fault::kInput, "gs://other/none");
  ExpectFault(storage->Bucket("other").status(), Fault::kInput, "gs://other");
  EXPECT_EQ(storage->Bucket("bucket")->at("location"), "ASIA-NORTHEAST1");
  EXPECT_EQ(FaultOf(storage->List("/tmp/x").status()), Fault::kUsage);
}

TEST_F(StorageTest, NameIsWhatItIsWhateverIsInIt) {
  const Strings names = {
      "..",        ".",          "a/../b",    "a//b", "/",      "a b",
      "a+b",       "a%41b",      "a?x=1&y=2", "#x",   "ü/日本", "\xF0\x9F\x90\x9F",
      "tab\there", "quote\"'\\", "a;b=c",     "~-_.", "[0-9]*", std::string(1024, 'n')};
  std::vector<source::Object> objects;
  for (const std::string& name : names) objects.push_back(fake_.Put("bucket", name, "is " + name));
  const auto storage = Make();
  for (size_t i = 0; i < names.size(); ++i) {
    SCOPED_TRACE(names[i]);
    const auto bytes = storage->Read(objects[i].uri);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(*bytes, "is " + names[i]);
    const auto listed = storage->List(objects[i].uri);
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_FALSE(listed->empty());
    EXPECT_EQ((*listed)[0].uri, objects[i].uri);
    const auto written = storage->Write(objects[i].uri, "new", false);
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_EQ(written->uri, objects[i].uri);
    objects[i] = *written;
  }
  EXPECT_EQ(fake_.count("bucket"), names.size()) << "none was written under another name";
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(*storage->Delete({objects[i]}), 1) << names[i];
    EXPECT_EQ(fake_.count("bucket"), names.size() - i - 1) << names[i];
  }
}

TEST_F(StorageTest, CallAboutAnObjectWithoutANameIsRefusedBeforeItIsSent) {
  fake_.Put("bucket", "x", "x");
  const auto storage = Make();
  for (const std::string uri : {"gs://bucket", "gs://bucket/"}) {
    EXPECT_EQ(FaultOf(storage->Read(uri).status()), Fault::kUsage);
    EXPECT_EQ(FaultOf(storage->Write(uri, "x", false).status()), Fault::kUsage);
    EXPECT_EQ(FaultOf(storage->Delete({{.uri = uri}}).status()), Fault::kUsage);
    EXPECT_EQ(FaultOf(storage->PieceRequest({.uri = uri, .size_bytes = 1}, 0, 1, {}).status()),
              Fault::kUsage);
  }
  EXPECT_EQ(fake_.server().requests().size(), 0U);
}

TEST_F(StorageTest, ChecksumIsReadWhereItIsOne) {
  const std::pair<std::string, std::optional<uint32_t>> cases[] = {{R"("4waSgw==")", 0xE3069283},
                                                                   {R"("AAAAAA==")", 0},
                                                                   {R"("/////w==")", 0xFFFFFFFF},
                                                                   {R"("4waSgw=")", {}},
                                                                   {R"("4waSgw")", {}},
                                                                   {R"("")", {}},
                                                                   {R"("!waSgw==")", {}},
                                                                   {R"("4waSgw==4waSgw==")", {}},
                                                                   {"null", {}},
                                                                   {"5", {}}};
  Shared<std::string> crc;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.body = R"({"items": [{"name": "x", "size": "1", "generation": "2",)"
                                  R"("crc32c": )" +
                                  crc.Get() + "}]}"};
  };
  const auto storage = Make();
  for (const auto& [text, value] : cases) {
    crc.Set(text);
    const auto listed = storage->List("gs://bucket/");
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_EQ(listed->size(), 1U);
    EXPECT_EQ((*listed)[0].crc32c, value) << text;
  }
}

TEST_F(StorageTest, TimeIsReadWhereItIsOne) {
  constexpr int64_t kSecond = 1'000'000'000;
  const std::pair<std::string, int64_t> cases[] = {
      {R"("1970-01-01T00:00:01.999Z")", kSecond},
      {R"("2024-02-29T23:59:59Z")", 1709251199 * kSecond},
      {R"("2262-01-01T00:00:00Z")", 9214646400 * kSecond},
      {R"("9999-12-31T23:59:59Z")", 0},
      {R"("0000-01-01T00:00:00Z")", 0},
      {R"("2024-02-29")", 0},
      {R"("")", 0},
      {"5", 0},
      {"null", 0}};
  Shared<std::string> updated;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.body = R"({"items": [{"name": "x", "size": "1", "generation": "2",)"
                                  R"("updated": )" +
                                  updated.Get() + "}]}"};
  };
  const auto storage = Make();
  for (const auto& [text, value] : cases) {
    updated.Set(text);
    const auto listed = storage->List("gs://bucket/");
    ASSERT_TRUE(listed.ok()) << listed.status();
    EXPECT_EQ((*listed)[0].mtime_ns, value) << text;
  }
}

TEST_F(StorageTest, AnswerThatIsNoListingIsAnError) {
  Shared<std::string> body;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.body = body.Get()};
  };
  const auto storage = Make();
  const auto item = [](const std::string& name, const std::string& size,
                       const std::string& generation) {
    return R"({"items": [{"name": )" + name + R"(, "size": )" + size + R"(, "generation": )" +
           generation + "}]}";
  };
  for (const std::string& text : Strings{"",
                                         "<html>log in</html>",
                                         "[]",
                                         "null",
                                         "3",
                                         "\"x\"",
                                         "{",
                                         "{} {}",
                                         R"({"items": 5})",
                                         R"({"items": {}})",
                                         R"({"items": [3]})",
                                         R"({"items": [null]})",
                                         R"({"items": [{}]})",
                                         R"({"items": [{"name": "x"}]})",
                                         R"({"nextPageToken": 5})",
                                         R"({"items": [{"name": "x", "size": "1"}]})",
                                         item("5", "\"1\"", "\"1\""),
                                         item("\"\"", "\"1\"", "\"1\""),
                                         item("\"x\"", "\"\"", "\"1\""),
                                         item("\"x\"", "\"-1\"", "\"1\""),
                                         item("\"x\"", "\"1 \"", "\"1\""),
                                         item("\"x\"", "\"1e3\"", "\"1\""),
                                         item("\"x\"", "\"9223372036854775808\"", "\"1\""),
                                         item("\"x\"", "{}", "\"1\""),
                                         item("\"x\"", "\"1\"", "\"0\""),
                                         item("\"x\"", "\"1\"", "\"-7\""),
                                         item("\"x\"", "\"1\"", "[]"),
                                         "{\"items\": \"\xFF\xFE\"}",
                                         std::string(1 << 20, '[')}) {
    body.Set(text);
    const auto listed = storage->List("gs://bucket/prefix");
    ASSERT_FALSE(listed.ok()) << text;
    ExpectFault(listed.status(), Fault::kStorage, "gs://bucket/prefix");
    EXPECT_LT(listed.status().ToString().size(), 1000U) << "not the whole answer";
  }
  body.Set(R"({"kind": "storage#objects"})");
  EXPECT_EQ(Uris(storage->List("gs://bucket/prefix")), Strings{});
}

TEST_F(StorageTest, PagesThatDoNotEndAreAnError) {
  std::atomic<int> pages = 0;
  std::atomic<bool> changes = false;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    ++pages;
    return ServerResponse{.body = R"({"nextPageToken": "t)" +
                                  std::to_string(changes ? pages.load() % 2 : 0) + "\"}"};
  };
  const auto storage = Make();
  for (const bool two : {false, true}) {
    changes = two;
    ExpectFault(storage->List("gs://bucket/x").status(), Fault::kStorage, "gs://bucket/x");
  }
  EXPECT_LT(pages, 10);
}

TEST_F(StorageTest, SaysWhatTheCallerMayDo) {
  fake_.MakeBucket("bucket");
  const auto storage = Make();
  const Strings wanted = {"storage.objects.get", "storage.objects.delete", "storage.objects.list"};
  const auto allowed = storage->Permissions("bucket", wanted);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(*allowed, (Strings{"storage.objects.get", "storage.objects.list"}));
  EXPECT_EQ(*storage->Permissions("bucket", {"storage.objects.delete"}), Strings{});
}

TEST_F(StorageTest, OddAnswersAboutABucketAreErrors) {
  Shared<std::string> body;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.body = body.Get()};
  };
  const auto storage = Make();
  for (const std::string text :
       {"", "[]", "3", R"({"permissions": 3})", R"({"permissions": [3]})"}) {
    body.Set(text);
    ExpectFault(storage->Permissions("bucket", {"x"}).status(), Fault::kStorage, "gs://bucket");
    if (text.starts_with("{")) continue;
    ExpectFault(storage->Bucket("bucket").status(), Fault::kStorage, "gs://bucket");
    ExpectFault(storage->Write("gs://bucket/x", "x", false).status(), Fault::kStorage,
                "gs://bucket/x");
  }
}

TEST_F(StorageTest, MissingAndClosedObjectsAreTheInputsFaultAndNotTriedAgain) {
  fake_.Put("bucket", "x", "x");
  fake_.before = [](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.path().ends_with("/closed")) return FakeStorage::Error(403, "forbidden", "no");
    return std::nullopt;
  };
  const auto storage = Make();
  ExpectFault(storage->Read("gs://bucket/missing").status(), Fault::kInput, "gs://bucket/missing");
  ExpectFault(storage->Read("gs://bucket/closed").status(), Fault::kInput, "gs://bucket/closed");
  EXPECT_EQ(fake_.server().requests().size(), 2U);
  EXPECT_EQ(notes(), Strings{});
}

TEST_F(StorageTest, WritesIfThereIsNoneYet) {
  fake_.MakeBucket("bucket");
  const auto storage = Make();
  const std::string bytes = RandomBytes(3, 100'000);
  const auto first = storage->Write("gs://bucket/a b", bytes, true);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->uri, "gs://bucket/a b");
  EXPECT_EQ(first->size_bytes, 100'000);
  EXPECT_EQ(first->crc32c, Crc32c(0, SpanOf(bytes)));
  EXPECT_TRUE(*storage->Read("gs://bucket/a b") == bytes);
  ExpectFault(storage->Write("gs://bucket/a b", "other", true).status(), Fault::kBusy,
              "gs://bucket/a b");
  const auto second = storage->Write("gs://bucket/a b", "", false);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(second->generation, first->generation);
  EXPECT_EQ(*storage->Read("gs://bucket/a b"), "");
}

TEST_F(StorageTest, WriteWhoseAnswerWasLostIsFoundToBeOurs) {
  fake_.Put("bucket", "x", "x");
  std::atomic<int> uploads = 0;
  fake_.after = [&](const ServerRequest& request, ServerResponse* response) {
    if (request.method == "POST" && ++uploads == 1) response->hang_up = true;
  };
  const auto storage = Make();
  // On a connection that has been used libcurl sends a request again on its own.
  ASSERT_EQ(*storage->Read("gs://bucket/x"), "x");
  const auto written = storage->Write("gs://bucket/lock", "mine", true);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(uploads, 2);
  EXPECT_EQ(written->size_bytes, 4);
  EXPECT_EQ(written->crc32c, Crc32c(0, SpanOf("mine")));
  EXPECT_EQ(written->generation, storage->List("gs://bucket/lock")->at(0).generation);
}

TEST_F(StorageTest, WriteThatLostToAnotherIsNotTakenForOurs) {
  fake_.MakeBucket("bucket");
  std::atomic<int> uploads = 0;
  fake_.before = [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.method != "POST" || ++uploads > 1) return std::nullopt;
    fake_.Put("bucket", "lock", "theirs");
    return FakeStorage::Error(503, "backendError", "try later");
  };
  const auto storage = Make();
  ExpectFault(storage->Write("gs://bucket/lock", "mine", true).status(), Fault::kBusy,
              "gs://bucket/lock");
}

TEST_F(StorageTest, DeletesMoreThanABatchTakesAndTriesAgainWhatMayPass) {
  std::vector<source::Object> objects;
  constexpr int kCount = 250;
  for (int i = 0; i < kCount; ++i) {
    objects.push_back(fake_.Put("bucket", "x/" + std::to_string(i), "x"));
  }
  fake_.Put("bucket", "foreign", "stays");
  objects[17].generation += 1'000'000;  // gone
  objects[18].uri = "gs://bucket/never";
  std::mutex mutex;
  std::map<std::string, int> times;
  fake_.delete_status = [&](const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex);
    const int time = ++times[name];
    if (name == "x/40" || name == "x/240") return time < 3 ? 503 : 0;
    return name == "x/41" && time == 1 ? 429 : 0;
  };
  const auto storage = Make();
  const auto deleted = storage->Delete(objects);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(*deleted, kCount - 2);
  EXPECT_EQ(fake_.count("bucket"), 3U) << "foreign, and the two in another generation or name";
  EXPECT_EQ(fake_.server().requests().size(), 5U) << "three batches, and two with what is left";
  EXPECT_EQ(times["x/0"], 1);
  ASSERT_EQ(notes().size(), 2U);
  EXPECT_NE(notes()[0].find("503"), std::string::npos) << notes()[0];
  EXPECT_NE(notes()[0].find("3 "), std::string::npos) << "how many: " << notes()[0];
  EXPECT_EQ(*storage->Delete({}), 0);
}

TEST_F(StorageTest, DeletesAllItCanBeforeItSaysWhatItCouldNot) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 250; ++i) {
    objects.push_back(fake_.Put("bucket", "x/" + std::to_string(i), "x"));
  }
  fake_.delete_status = [&](const std::string& name) {
    return name == "x/3" || name == "x/120" ? 403 : 0;
  };
  const auto storage = Make();
  ExpectFault(storage->Delete(objects).status(), Fault::kInput, "gs://bucket/x/3");
  EXPECT_EQ(fake_.count("bucket"), 2U);
}

TEST_F(StorageTest, BatchThatIsRefusedKeepsTheOthersFromNothing) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 250; ++i) {
    objects.push_back(fake_.Put("bucket", "x/" + std::to_string(i), "x"));
  }
  std::atomic<int> batches = 0;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    if (++batches == 1) return FakeStorage::Error(400, "badRequest", "no");
    return std::nullopt;
  };
  fake_.after = [&](const ServerRequest&, ServerResponse* response) {
    if (batches == 2) response->body.resize(response->body.size() / 2);
  };
  const auto storage = Make();
  ExpectFault(storage->Delete(objects).status(), Fault::kStorage, "gs://bucket/x/0");
  EXPECT_EQ(fake_.count("bucket"), 100U) << "all but those of the first batch";
}

TEST_F(StorageTest, DeletingThatStaysInTroubleComesToAnEndThatSaysWhy) {
  const auto object = fake_.Put("bucket", "x", "x");
  fake_.delete_status = [](const std::string&) { return 503; };
  const auto storage = Make();
  const Status status = storage->Delete({object}).status();
  ExpectFault(status, Fault::kStorage, "gs://bucket/x");
  EXPECT_NE(status.ToString().find("503 Service Unavailable: chosen by the test"),
            std::string::npos)
      << status;
  EXPECT_EQ(fake_.server().requests().size(), 4U);
}

TEST_F(StorageTest, TokenRefusedWithinABatchIsRenewedOnce) {
  const auto object = fake_.Put("bucket", "x", "x");
  std::atomic<int> renewals = 0;
  const auto token = [&](bool renew) -> Result<std::string> {
    if (renew) ++renewals;
    return "token-" + std::to_string(renewals);
  };
  std::atomic<bool> never = false;
  fake_.delete_status = [&](const std::string&) { return renewals == 0 || never ? 401 : 0; };
  const auto storage = Make({.token = token, .retry = FastRetry()});
  const auto deleted = storage->Delete({object});
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(renewals, 1);
  EXPECT_EQ(fake_.server().requests().back().header("authorization"), "Bearer token-1");
  never = true;
  ExpectFault(storage->Delete({object}).status(), Fault::kInput, "gs://bucket/x");
  EXPECT_EQ(renewals, 2);
}

TEST_F(StorageTest, TroubleThatPassesIsTriedAgainAndShows) {
  fake_.Put("bucket", "x", "bytes");
  std::atomic<int> requests = 0;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    switch (++requests) {
      case 1:
        return FakeStorage::Error(503, "backendError", "try\nlater");
      case 2:
        return ServerResponse{.body = "bytes", .close_after = 2};
      case 3: {
        auto response = FakeStorage::Error(429, "rateLimitExceeded", "slower");
        response.headers.push_back("Retry-After: 0");
        return response;
      }
      default:
        return std::nullopt;
    }
  };
  const auto storage = Make({.retry = FastRetry(4)});
  const auto bytes = storage->Read("gs://bucket/x");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, "bytes");
  const Strings said = notes();
  ASSERT_EQ(said.size(), 3U);
  EXPECT_EQ(said[0],
            "gs://bucket/x: 503 Service Unavailable: try later; again in 0.0 s (attempt 2 of 4)");
  EXPECT_NE(said[1].find("; again in 0.0 s (attempt 3 of 4)"), std::string::npos) << said[1];
  EXPECT_NE(said[2].find("429 Too Many Requests: slower"), std::string::npos) << said[2];
  EXPECT_EQ(storage->retries(), 3);
}

TEST_F(StorageTest, TroubleThatStaysComesToAnEndAfterThePolicysAttempts) {
  fake_.before = [](const ServerRequest&) -> std::optional<ServerResponse> {
    return FakeStorage::Error(500, "backendError", "oh no");
  };
  const auto storage = Make({.retry = FastRetry(5)});
  const Status status = storage->Read("gs://bucket/x").status();
  ExpectFault(status, Fault::kStorage, "gs://bucket/x");
  EXPECT_NE(status.ToString().find("500 Internal Server Error: oh no), after 5 attempts"),
            std::string::npos)
      << status;
  EXPECT_EQ(fake_.server().requests().size(), 5U);
  EXPECT_EQ(notes().size(), 4U);
}

TEST_F(StorageTest, TokenIsSentAndRenewedOnceWhereItIsRefused) {
  fake_.Put("bucket", "x", "bytes");
  fake_.SetToken("new");
  std::vector<bool> asked;
  const auto token = [&](bool renew) -> Result<std::string> {
    asked.push_back(renew);
    return std::count(asked.begin(), asked.end(), true) > 0 ? "new" : "old";
  };
  const auto storage = Make({.token = token, .retry = FastRetry()});
  const auto bytes = storage->Read("gs://bucket/x");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(std::count(asked.begin(), asked.end(), true), 1);
  ASSERT_EQ(fake_.server().requests().size(), 2U);
  EXPECT_EQ(fake_.server().requests()[0].header("authorization"), "Bearer old");
  EXPECT_EQ(fake_.server().requests()[1].header("authorization"), "Bearer new");
  ASSERT_EQ(notes().size(), 1U);
  EXPECT_NE(notes()[0].find("401 Unauthorized"), std::string::npos) << notes()[0];

  fake_.SetToken("newer");
  ExpectFault(storage->Read("gs://bucket/x").status(), Fault::kInput, "gs://bucket/x");
  EXPECT_EQ(std::count(asked.begin(), asked.end(), true), 2) << "once more, and no more";
  EXPECT_EQ(fake_.server().requests().size(), 4U);
}

TEST_F(StorageTest, TokenRefusedToManyThreadsIsRenewedByOneOfThem) {
  fake_.Put("bucket", "x", "bytes");
  fake_.SetToken("new");
  std::mutex mutex;
  std::condition_variable changed;
  int kept = 0;
  int renewals = 0;
  const auto token = [&](bool renew) -> Result<std::string> {
    std::unique_lock<std::mutex> lock(mutex);
    changed.notify_all();
    if (!renew) {
      ++kept;
      return renewals == 0 ? "old" : "new";
    }
    // One asks at first, when it was refused, and once more before it renews; the other at first,
    // and when it was refused: so it wants to renew, too.
    EXPECT_TRUE(changed.wait_for(lock, kLongestWait, [&] { return kept >= 5; }));
    ++renewals;
    return "new";
  };
  const auto storage = Make({.token = token, .retry = FastRetry()});
  const auto read = [&] { EXPECT_EQ(*storage->Read("gs://bucket/x"), "bytes"); };
  std::thread other(read);
  read();
  other.join();
  EXPECT_EQ(renewals, 1);
}

TEST_F(StorageTest, WithoutATokenNoneIsSentAndNoneIsRenewed) {
  fake_.Put("bucket", "x", "bytes");
  const auto storage = Make();
  EXPECT_EQ(*storage->Read("gs://bucket/x"), "bytes");
  EXPECT_FALSE(fake_.server().requests()[0].headers.contains("authorization"));
  fake_.SetToken("secret");
  ExpectFault(storage->Read("gs://bucket/x").status(), Fault::kInput, "gs://bucket/x");
  EXPECT_EQ(fake_.server().requests().size(), 2U);
}

TEST_F(StorageTest, TokenThatCannotBeHadIsTheError) {
  const auto storage = Make(
      {.token = [](bool) -> Result<std::string> { return Fail(Fault::kUsage, "log in first"); },
       .retry = FastRetry()});
  const Status status = storage->Read("gs://bucket/x").status();
  EXPECT_EQ(FaultOf(status), Fault::kUsage);
  EXPECT_NE(status.ToString().find("log in first"), std::string::npos);
  EXPECT_EQ(fake_.server().requests().size(), 0U);
}

TEST_F(StorageTest, TokenIsInNoErrorAndNoNote) {
  const std::string secret = "ya29.planted-SECRET_token/0+1==";
  const auto object = fake_.Put("bucket", "x", "bytes");
  std::atomic<int> status = 0;
  fake_.before = [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    // The worst: what was sent comes back within the answer.
    const std::string sent = request.header("authorization");
    if (status == 0) return ServerResponse{.body = "not JSON: " + sent};
    return FakeStorage::Error(status, "for " + sent, "refused: " + sent);
  };
  std::string said;
  {
    const auto storage =
        Make({.token = [&](bool) -> Result<std::string> { return secret; }, .retry = FastRetry(2)});
    for (const int one : {0, 400, 401, 403, 404, 412, 429, 500, 503}) {
      status = one;
      for (const Status& error :
           {storage->List("gs://bucket/x").status(), storage->Bucket("bucket").status(),
            storage->Write("gs://bucket/x", "x", true).status(),
            storage->Delete({object}).status()}) {
        EXPECT_FALSE(error.ok()) << one;
        said += error.ToString() + FormatForUser(error);
      }
      if (one != 0) said += storage->Read("gs://bucket/x").status().ToString();
    }
  }
  const auto broken =
      Make({.token = [&](bool) -> Result<std::string> { return secret + "\r\nX: y"; },
            .retry = FastRetry(2)});
  const Status line_end = broken->Read("gs://bucket/x").status();
  EXPECT_EQ(FaultOf(line_end), Fault::kUsage);
  said += FormatForUser(line_end);
  for (const std::string& note : notes()) said += note;
  EXPECT_GT(notes().size(), 5U);
  EXPECT_NE(fake_.server().requests()[0].header("authorization").find(secret), std::string::npos);
  for (const char* part : {"ya29", "planted", "SECRET", "0+1"}) {
    EXPECT_EQ(said.find(part), std::string::npos) << said.substr(said.find(part), 100);
  }
}

class StopTest : public StorageTest {
 protected:
  // Whether a call that has begun ends soon after Stop, as it should.
  void ExpectStops(CloudStorage* storage, const std::function<bool()>& begun) {
    Status status;
    std::thread caller([&] { status = storage->Read("gs://bucket/x").status(); });
    EXPECT_TRUE(begun());
    const auto begin = Clock::now();
    storage->Stop();
    caller.join();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
    ExpectFault(status, Fault::kInterrupted, "gs://bucket/x");
    EXPECT_TRUE(storage->stopped());
    const size_t requests = fake_.server().requests().size();
    EXPECT_EQ(FaultOf(storage->List("gs://bucket/x").status()), Fault::kInterrupted);
    EXPECT_EQ(FaultOf(storage->Delete({{.uri = "gs://bucket/x"}}).status()), Fault::kInterrupted);
    EXPECT_EQ(fake_.server().requests().size(), requests) << "nothing is sent any more";
  }
};

TEST_F(StopTest, EndsALongWait) {
  fake_.before = [](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.status = 503, .headers = {"Retry-After: 3600"}};
  };
  const auto storage = Make({.retry = {.longest_wait = std::chrono::hours(1)}});
  ExpectStops(storage.get(), [this] { return WaitForNote(); });
}

TEST_F(StopTest, EndsACallWhoseAnswerDoesNotCome) {
  fake_.before = [](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.wait = true};
  };
  const auto storage = Make();
  ExpectStops(storage.get(), [this] { return fake_.server().WaitForStalled(1); });
}

TEST_F(StopTest, EndsACallInTheMiddleOfAnAnswer) {
  fake_.before = [](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.body = std::string(1000, 'x'), .stall_after = 10};
  };
  const auto storage = Make();
  ExpectStops(storage.get(), [this] { return fake_.server().WaitForStalled(1); });
}

TEST_F(StopTest, IsNotMissedWhereResumeComesRightAfter) {
  fake_.Put("bucket", "x", "bytes");
  fake_.after = [](const ServerRequest&, ServerResponse* response) { response->wait = true; };
  const auto storage = Make();
  Status status;
  std::thread caller([&] { status = storage->Read("gs://bucket/x").status(); });
  EXPECT_TRUE(fake_.server().WaitForStalled(1));
  storage->Stop();
  storage->Resume();
  caller.join();
  ExpectFault(status, Fault::kInterrupted, "gs://bucket/x");
  fake_.server().Release();
  EXPECT_EQ(*storage->Read("gs://bucket/x"), "bytes") << "and then calls work again";
}

TEST_F(StorageTest, ManyThreadsMayCallAtOnce) {
  constexpr int kThreads = 8;
  for (int i = 0; i < kThreads; ++i) fake_.Put("bucket", std::to_string(i), RandomBytes(i, 5000));
  std::atomic<int> requests = 0;
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    if (++requests % 7 == 0) return FakeStorage::Error(503, "backendError", "busy");
    return std::nullopt;
  };
  const auto storage = Make({.retry = FastRetry(20)});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto bytes = storage->Read("gs://bucket/" + std::to_string(t));
        if (!bytes.ok() || *bytes != RandomBytes(t, 5000)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(storage->retries(), static_cast<int64_t>(notes().size()));
}

}  // namespace
}  // namespace hayate::cloud
