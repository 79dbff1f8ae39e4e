#include "hayate/cloud/http_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "hayate/cloud/test_server_internal.h"

namespace hayate::cloud {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<HttpClient> MakeClient(std::chrono::seconds stall_timeout = kLongestWait) {
  auto client = HttpClient::Make({.stall_timeout = stall_timeout});
  EXPECT_TRUE(client.ok()) << client.status();
  return std::move(client).ValueOrDie();
}

// Waits for the answer.
HttpResponse Perform(HttpClient* client, HttpRequest request) {
  // Shared: the waiting thread may be gone before set_value has returned.
  const auto answer = std::make_shared<std::promise<HttpResponse>>();
  client->Start(std::move(request),
                [answer](HttpResponse response) { answer->set_value(std::move(response)); });
  return answer->get_future().get();
}

ServerResponse Echo(const ServerRequest& request) {
  ServerResponse response{.headers = {"X-Method: " + request.method, "X-Odd:  a: b \t"}};
  response.body = request.target + "|" + request.header("x-asked") + "|" + request.body;
  return response;
}

// What several transfers are done with.
class Answers {
 public:
  HttpClient::Done Take() {
    return [this](HttpResponse response) {
      const std::lock_guard<std::mutex> lock(mutex_);
      all_.push_back(std::move(response));
      changed_.notify_all();
    };
  }

  std::vector<HttpResponse> Wait(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLongestWait, [&] { return all_.size() >= count; }));
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpResponse> all_;
};

TEST(HttpClientTest, SendsMethodHeadersAndBodyAndGivesStatusHeadersAndBody) {
  TestServer server(Echo);
  const auto client = MakeClient();
  const HttpResponse got =
      Perform(client.get(), {.url = server.url() + "/a?b=%20c", .headers = {"X-Asked: yes"}});
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.body, "/a?b=%20c|yes|");
  EXPECT_EQ(got.headers.at("x-method"), "GET");
  EXPECT_EQ(got.headers.at("x-odd"), "a: b") << "without the blanks around it";

  const std::string bytes = RandomBytes(1, 300'000);
  const HttpResponse posted = Perform(
      client.get(),
      {.method = "POST", .url = server.url() + "/p", .headers = {"Expect:"}, .body = bytes});
  EXPECT_EQ(posted.headers.at("x-method"), "POST");
  EXPECT_TRUE(posted.body == "/p||" + bytes);
  EXPECT_EQ(Perform(client.get(), {.method = "POST", .url = server.url() + "/p"}).body, "/p||");
  EXPECT_EQ(Perform(client.get(), {.method = "DELETE", .url = server.url() + "/d"})
                .headers.at("x-method"),
            "DELETE");
  // A handle that has sent a body is used again for a request without one.
  EXPECT_EQ(Perform(client.get(), {.url = server.url() + "/g"}).headers.at("x-method"), "GET");
  for (const ServerRequest& request : server.requests()) {
    EXPECT_EQ(request.header("user-agent"), "hayate");
  }
}

TEST(HttpClientTest, PathIsSentAsItIs) {
  TestServer server(Echo);
  const auto client = MakeClient();
  for (const std::string path :
       {"/b/bucket/o/..", "/b/bucket/o/.", "/b/../c", "/b/%2E%2E", "/b//c"}) {
    EXPECT_EQ(Perform(client.get(), {.url = server.url() + path}).body, path + "||");
  }
}

TEST(HttpClientTest, ManyAtOnceShareFewConnections) {
  TestServer server(Echo);
  const auto client = MakeClient();
  constexpr size_t kRounds = 40;
  constexpr size_t kAtOnce = 8;
  for (size_t round = 1; round <= kRounds; ++round) {
    Answers answers;
    for (size_t i = 0; i < kAtOnce; ++i) {
      client->Start({.url = server.url() + "/" + std::to_string(i)}, answers.Take());
    }
    for (const HttpResponse& one : answers.Wait(kAtOnce)) EXPECT_EQ(one.status, 200) << one.error;
  }
  EXPECT_EQ(server.requests().size(), kRounds * kAtOnce);
  EXPECT_LE(server.all_connections(), 2 * kAtOnce) << "connections are used again";
}

TEST(HttpClientTest, ManyThreadsGetTheirOwnAnswers) {
  TestServer server(Echo);
  const auto client = MakeClient();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string path = "/" + std::to_string(t) + "/" + std::to_string(i);
        if (Perform(client.get(), {.url = server.url() + path}).body != path + "||") ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(HttpClientTest, BodyOfAnErrorIsGivenAlsoWhereABodyIsAskedForInPieces) {
  TestServer server([](const ServerRequest& request) -> ServerResponse {
    if (request.target == "/ok") return {.status = 206, .body = "piece"};
    return {.status = 404, .body = "nothing there"};
  });
  const auto client = MakeClient();
  std::string taken;
  const auto on_body = [&](const HttpResponse& head, std::span<const uint8_t> bytes) {
    EXPECT_EQ(head.status, 206);
    EXPECT_EQ(head.headers.at("content-length"), "5");
    taken.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  };
  const HttpResponse missing =
      Perform(client.get(), {.url = server.url() + "/no", .on_body = on_body});
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "nothing there");
  EXPECT_EQ(taken, "");
  const HttpResponse got = Perform(client.get(), {.url = server.url() + "/ok", .on_body = on_body});
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.body, "");
  EXPECT_EQ(taken, "piece");
}

TEST(HttpClientTest, OnBodyThatReturnsFalseEndsTheTransfer) {
  TestServer server([](const ServerRequest&) -> ServerResponse {
    return {.body = std::string(1 << 20, 'x'), .stall_after = 1000};
  });
  const auto client = MakeClient();
  int calls = 0;
  const HttpResponse got =
      Perform(client.get(),
              {.url = server.url(), .on_body = [&](const HttpResponse&, std::span<const uint8_t>) {
                 ++calls;
                 return false;
               }});
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(got.status, 200);
  EXPECT_NE(got.error, "");
}

TEST(HttpClientTest, RefusedConnectionIsAnErrorWithoutAStatus) {
  std::string url;
  {
    const TestServer server(Echo);
    url = server.url();
  }
  const HttpResponse got = Perform(MakeClient().get(), {.url = url});
  EXPECT_EQ(got.status, 0);
  EXPECT_NE(got.error.find("127.0.0.1"), std::string::npos) << got.error;
}

TEST(HttpClientTest, WhatIsNoUrlOfTheWebIsRefused) {
  const auto client = MakeClient();
  for (const char* url : {"", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "no url"}) {
    const HttpResponse got = Perform(client.get(), {.url = url});
    EXPECT_EQ(got.status, 0) << url;
    EXPECT_NE(got.error, "") << url;
  }
}

TEST(HttpClientTest, BrokenAnswersAreErrors) {
  Shared<ServerResponse> how;
  TestServer server([&](const ServerRequest&) { return how.Get(); });
  const auto client = MakeClient();
  const std::string body(100'000, 'x');
  const std::pair<const char*, ServerResponse> cases[] = {
      {"reset at once", {.hang_up = true, .reset = true}},
      {"closed at once", {.hang_up = true}},
      {"reset within", {.body = body, .reset = true, .close_after = 50'000}},
      {"closed within", {.body = body, .close_after = 50'000}},
      {"closed before the body", {.body = body, .close_after = 0}},
      {"shorter than it says", {.body = body, .content_length = 200'000}}};
  for (const auto& [what, response] : cases) {
    how.Set(response);
    const HttpResponse got = Perform(client.get(), {.url = server.url()});
    EXPECT_NE(got.error, "") << what;
    EXPECT_LT(got.body.size(), 200'000U);
  }
  how.Set({.body = body, .content_length = -1});
  const HttpResponse got = Perform(client.get(), {.url = server.url()});
  EXPECT_EQ(got.error, "") << "a body that ends with the connection is whole";
  EXPECT_EQ(got.body.size(), body.size());
}

TEST(HttpClientTest, AnswerThatIsTooLongForTextIsAnErrorThatSaysSo) {
  const std::string body(65 << 20, 'x');
  TestServer server([&](const ServerRequest&) -> ServerResponse { return {.body = body}; });
  const HttpResponse got = Perform(MakeClient().get(), {.url = server.url()});
  EXPECT_NE(got.error.find("longer than 64 MiB"), std::string::npos) << got.error;
}

TEST(HttpClientTest, StalledTransferFailsWithinItsLimit) {
  TestServer server([](const ServerRequest& request) -> ServerResponse {
    if (request.target == "/head") return {.wait = true};
    return {.body = std::string(10'000, 'x'), .stall_after = 5000};
  });
  const auto client = MakeClient(std::chrono::seconds(1));
  Answers answers;
  const auto begin = std::chrono::steady_clock::now();
  client->Start({.url = server.url() + "/head"}, answers.Take());
  client->Start({.url = server.url() + "/body"}, answers.Take());
  for (const HttpResponse& one : answers.Wait(2)) EXPECT_NE(one.error, "");
  // libcurl takes the speed over some seconds, so what came before keeps a transfer alive for them.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(12));
}

TEST(HttpClientTest, DestructorEndsWhatIsStalledAndWhatIsDelayed) {
  TestServer server([](const ServerRequest&) -> ServerResponse { return {.wait = true}; });
  auto client = MakeClient();
  std::atomic<int> done = 0;
  const auto count = [&](const HttpResponse& response) {
    EXPECT_NE(response.error, "");
    ++done;
  };
  constexpr int kEach = 20;
  for (int i = 0; i < kEach; ++i) client->Start({.url = server.url()}, count);
  for (int i = 0; i < kEach; ++i)
    client->Start({.url = server.url()}, count, std::chrono::hours(1));
  ASSERT_TRUE(server.WaitForStalled(kEach));
  EXPECT_EQ(done, 0);
  const auto begin = std::chrono::steady_clock::now();
  client.reset();
  EXPECT_EQ(done, 2 * kEach) << "each once, before it returns";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLongestWait / 4);
}

TEST(HttpClientTest, CallbackMayStartAnotherAlsoWhileTheClientEnds) {
  TestServer server([](const ServerRequest& request) -> ServerResponse {
    return {.wait = request.target == "/stall"};
  });
  auto client = MakeClient();
  std::atomic<int> done = 0;
  HttpClient* const raw = client.get();
  std::promise<void> chained;
  std::function<void(HttpResponse)> next = [&](const HttpResponse& response) {
    EXPECT_EQ(response.status, 200) << response.error;
    if (++done == 100) return chained.set_value();
    raw->Start({.url = server.url()}, next);
  };
  raw->Start({.url = server.url()}, next);
  ASSERT_EQ(chained.get_future().wait_for(kLongestWait), std::future_status::ready);
  EXPECT_EQ(done, 100);

  // As one that tries again would do: it is told at once, and not for ever deeper.
  std::atomic<int> cancelled = 0;
  std::function<void(HttpResponse)> again = [&](const HttpResponse& response) {
    EXPECT_EQ(response.status, 0);
    if (++cancelled < 5000) raw->Start({.url = server.url()}, again);
  };
  raw->Start({.url = server.url() + "/stall"}, again);
  ASSERT_TRUE(server.WaitForStalled(1));
  client.reset();
  EXPECT_EQ(cancelled, 5000);
}

TEST(HttpClientTest, DelayedTransferBeginsNotBeforeItsTimeAndKeepsNobodyWaiting) {
  TestServer server(Echo);
  const auto client = MakeClient();
  const auto begin = std::chrono::steady_clock::now();
  Answers late;
  Answers soon;
  client->Start({.url = server.url() + "/late"}, late.Take(), milliseconds(300));
  client->Start({.url = server.url() + "/soon"}, soon.Take(), milliseconds(1));
  EXPECT_EQ(soon.Wait(1)[0].body, "/soon||");
  EXPECT_EQ(late.Wait(1)[0].body, "/late||");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(300));
  EXPECT_EQ(server.requests()[0].target, "/soon");
}

TEST(HttpClientTest, WhatAuthorizesIsNotGivenBackByAnAnswerThatRepeatsIt) {
  TestServer server([](const ServerRequest& request) -> ServerResponse {
    return {.status = 401,
            .headers = {"WWW-Authenticate: " + request.header("authorization")},
            .body = "not good: " + request.header("authorization") + ", again " +
                    request.header("authorization")};
  });
  const HttpResponse got = Perform(
      MakeClient().get(), {.url = server.url(), .authorization = "Bearer planted.secret-1/x=="});
  EXPECT_EQ(got.body.find("planted"), std::string::npos) << got.body;
  EXPECT_NE(got.body.find("not good: "), std::string::npos) << "the rest stays";
  EXPECT_EQ(server.requests()[0].header("authorization"), "Bearer planted.secret-1/x==");
  for (const auto& [name, value] : got.headers) {
    EXPECT_EQ(value.find("planted"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace hayate::cloud
