#include "hayate/cloud/fetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hayate/cloud/test_server_internal.h"

namespace hayate::cloud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPieceBytes = 1000;

class FetcherTest : public ::testing::Test {
 protected:
  void Start(FetchOptions options, StorageOptions storage_options = {.retry = FastRetry(30)}) {
    fetcher_.reset();
    storage_options.endpoint = fake_.url();
    storage_options.on_retry = [this](const std::string& what) {
      const std::lock_guard<std::mutex> lock(mutex_);
      notes_.push_back(what);
    };
    auto storage = CloudStorage::Make(std::move(storage_options));
    ASSERT_TRUE(storage.ok()) << storage.status();
    storage_ = std::move(storage).ValueOrDie();
    fetcher_ = std::make_unique<Fetcher>(storage_.get(), options);
  }

  // To stand after what the hooks of `fake_` refer to: they may be called as long as transfers are
  // under way.
  class Ending {
   public:
    explicit Ending(FetcherTest* test) : test_(test) {}
    ~Ending() {
      test_->fetcher_.reset();
      test_->storage_.reset();
      test_->fake_.server().Stop();
    }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;

   private:
    FetcherTest* const test_;
  };

  // No piece is shared out: how old transfers are is the machine's affair.
  static FetchOptions Small(int connections = 8, int64_t budget_bytes = 50 * kPieceBytes) {
    return {.piece_bytes = kPieceBytes,
            .budget_bytes = budget_bytes,
            .least_connections = 1,
            .first_connections = connections,
            .most_connections = std::max(connections, 1),
            .split_after = std::chrono::hours(1)};
  }

  Result<std::string> Fetch(const source::Object& object) {
    ARROW_ASSIGN_OR_RAISE(const auto stream, fetcher_->Open(object));
    EXPECT_EQ(stream->name(), object.uri);
    return ReadAll(stream.get(), 700);
  }

  void ExpectFetched(const source::Object& object, const std::string& bytes) {
    const auto fetched = Fetch(object);
    ASSERT_TRUE(fetched.ok()) << fetched.status();
    ASSERT_TRUE(*fetched == bytes) << object.uri;
  }

  void ExpectFault(const source::Object& object, Fault fault) {
    const auto fetched = Fetch(object);
    ASSERT_FALSE(fetched.ok()) << "got " << fetched->size() << " bytes";
    EXPECT_EQ(FaultName(FaultOf(fetched.status())), FaultName(fault)) << fetched.status();
    EXPECT_EQ(FaultDetail::Get(fetched.status())->where().object, object.uri);
  }

  std::vector<std::string> notes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return notes_;
  }

  FakeStorage fake_;
  std::unique_ptr<CloudStorage> storage_;
  std::unique_ptr<Fetcher> fetcher_;

 private:
  std::mutex mutex_;
  std::vector<std::string> notes_;
};

// How many bytes a request asks for, of an object of that size.
int64_t Asked(const ServerRequest& request, int64_t size_bytes) {
  const std::string range = request.header("range");
  if (range.empty()) return size_bytes;
  return std::stoll(range.substr(range.find('-') + 1)) -
         std::stoll(range.substr(std::string_view("bytes=").size())) + 1;
}

// Something that goes wrong, or nothing, as it is drawn.
void Spoil(std::mt19937_64* random, ServerResponse* response) {
  const size_t at = response->body.empty() ? 0 : (*random)() % response->body.size();
  switch ((*random)() % 20) {
    case 0:
      *response = FakeStorage::Error(503, "backendError", "busy");
      break;
    case 1:
      *response = FakeStorage::Error(429, "rateLimitExceeded", "slower");
      response->headers.emplace_back("Retry-After: 0");
      break;
    case 2:
      response->close_after = at;
      break;
    case 3:
      response->close_after = at;
      response->reset = true;
      break;
    case 4:
      response->hang_up = true;
      break;
    case 5:
      // Shorter than was asked for, and well-formed at that.
      response->body.resize(at);
      response->content_length = -1;
      break;
    default:
      break;
  }
}

// Everything that may vary, varied: each byte that is read is the one that is stored.
class RandomFetchTest : public FetcherTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(RandomFetchTest, EveryByteArrivesOnceAndInOrder) {
  std::mt19937_64 random(GetParam());
  std::mutex spoiling;
  std::mt19937_64 spoil(random());
  const Ending ending(this);
  fake_.after = [&](const ServerRequest&, ServerResponse* response) {
    const std::lock_guard<std::mutex> lock(spoiling);
    Spoil(&spoil, response);
  };
  std::vector<source::Object> objects;
  std::vector<std::string> stored;
  const size_t count = 1 + random() % 40;
  for (size_t i = 0; i < count; ++i) {
    const size_t edges[] = {0,
                            1,
                            kPieceBytes - 1,
                            kPieceBytes,
                            kPieceBytes + 1,
                            2 * kPieceBytes,
                            random() % (20 * kPieceBytes)};
    stored.push_back(RandomBytes(random(), edges[random() % std::size(edges)]));
    objects.push_back(fake_.Put("bucket", "part " + std::to_string(i), stored.back()));
    if (random() % 4 == 0) objects.back().crc32c.reset();
  }
  const auto connections = static_cast<int>(1 + random() % 16);
  FetchOptions options = Small(connections, static_cast<int64_t>(1000 + random() % 40'000));
  if (random() % 2 == 0) {
    // Whatever is under way when a connection is free.
    options.split_after = std::chrono::milliseconds(0);
    options.split_bytes = static_cast<int64_t>(1 + random() % 300);
  }
  Start(options);
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  for (const size_t i : order) {
    if (random() % 8 != 0) fetcher_->Plan(objects[i]);
  }
  std::shuffle(order.begin(), order.end(), random);
  std::atomic<size_t> next = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (size_t t = 1 + random() % 4; t > 0; --t) {
    readers.emplace_back([&, seed = random()] {
      std::mt19937_64 own(seed);
      std::vector<uint8_t> buffer(3 * kPieceBytes);
      for (size_t at = next++; at < count; at = next++) {
        const size_t i = order[at];
        const auto fate = own() % 10;
        if (fate == 0) fetcher_->Forget(objects[i]);
        if (fate <= 1) continue;
        const auto stream = fetcher_->Open(objects[i]);
        if (!stream.ok()) {
          ADD_FAILURE() << stream.status();
          continue;
        }
        const size_t stop = fate == 2 ? own() % (stored[i].size() + 1) : SIZE_MAX;
        std::string bytes;
        while (bytes.size() < stop) {
          const auto n = (*stream)->Read(std::span(buffer).first(1 + own() % buffer.size()));
          if (!n.ok()) {
            ADD_FAILURE() << n.status();
            break;
          }
          if (*n == 0) break;
          bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(*n));
        }
        const bool whole = bytes == stored[i];
        if (stop == SIZE_MAX ? !whole : !stored[i].starts_with(bytes)) ++wrong;
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomFetchTest, ::testing::Range<uint64_t>(1, 41),
                         [](const auto& info) { return "Seed" + std::to_string(info.param); });

TEST_F(FetcherTest, MemoryOfWhatIsAskedForIsBounded) {
  constexpr int64_t kBudget = 7 * kPieceBytes;
  constexpr size_t kReaders = 3;
  constexpr int64_t kReadBytes = 300;
  std::atomic<int64_t> asked = 0;
  std::atomic<int64_t> read = 0;
  std::atomic<int64_t> most = 0;
  std::map<std::string, int64_t> sizes;
  const Ending ending(this);
  fake_.before = [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    const int64_t ahead = (asked += Asked(request, sizes.at(request.path()))) - read;
    for (int64_t seen = most; ahead > seen && !most.compare_exchange_weak(seen, ahead);) {
    }
    return std::nullopt;
  };
  std::vector<source::Object> objects;
  std::vector<std::string> stored;
  int64_t total = 0;
  for (int i = 0; i < 30; ++i) {
    const std::string name = std::to_string(i);
    stored.push_back(RandomBytes(i, 1 + (i * 7919) % (9 * kPieceBytes)));
    objects.push_back(fake_.Put("bucket", name, stored.back()));
    sizes["/storage/v1/b/bucket/o/" + name] = objects.back().size_bytes;
    total += objects.back().size_bytes;
  }
  Start(Small(16, kBudget));
  for (const source::Object& object : objects) fetcher_->Plan(object);
  std::atomic<size_t> next = 0;
  std::vector<std::thread> readers;
  for (size_t t = 0; t < kReaders; ++t) {
    readers.emplace_back([&] {
      std::vector<uint8_t> buffer(kReadBytes);
      for (size_t i = next++; i < objects.size(); i = next++) {
        auto stream = fetcher_->Open(objects[i]).ValueOrDie();
        std::string bytes;
        while (true) {
          const auto n = stream->Read(buffer);
          ASSERT_TRUE(n.ok()) << n.status();
          if (*n == 0) break;
          read += *n;
          bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(*n));
        }
        EXPECT_TRUE(bytes == stored[i]);
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(asked, total) << "each byte once";
  EXPECT_EQ(fetcher_->bytes_received(), total);
  // A read that has returned may not be counted yet when a request that it made room for arrives.
  constexpr auto kOpen = static_cast<int64_t>(kReaders);
  EXPECT_LE(most, kBudget + kOpen * kPieceBytes + kOpen * kReadBytes);
  EXPECT_GE(most, kBudget / 2) << "and it is made use of";
}

TEST_F(FetcherTest, WhatIsLeftOfASlowPieceIsSharedOut) {
  const std::string bytes = RandomBytes(1, kPieceBytes);
  const auto slow = fake_.Put("bucket", "slow", bytes);
  const auto other = fake_.Put("bucket", "other", RandomBytes(2, 10));
  // Stalls in the middle until somebody else has asked for its end.
  std::atomic<int> asked = 0;
  const Ending ending(this);
  fake_.after = [&](const ServerRequest& request, ServerResponse* response) {
    if (request.path().ends_with("/slow") && asked++ == 0) response->stall_after = 100;
  };
  FetchOptions options = Small(2);
  options.split_after = std::chrono::milliseconds(0);
  options.split_bytes = 100;
  Start(options);
  fetcher_->Plan(slow);
  ASSERT_TRUE(fake_.server().WaitForRequests(1));
  ExpectFetched(other, RandomBytes(2, 10));  // and with its end a connection is free
  ASSERT_TRUE(fake_.server().WaitForRequests(3));
  const std::string range = fake_.server().requests()[2].header("range");
  EXPECT_TRUE(range.ends_with("-" + std::to_string(kPieceBytes - 1))) << range;
  EXPECT_FALSE(range.starts_with("bytes=0-")) << range;
  fake_.server().Release();
  ExpectFetched(slow, bytes);
}

TEST_F(FetcherTest, NothingIsAskedForAheadOfWhatThereIsMemoryFor) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 6; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), RandomBytes(i, kPieceBytes)));
  }
  Start(Small(16, 4 * kPieceBytes));
  for (const source::Object& object : objects) fetcher_->Plan(object);
  ASSERT_TRUE(fake_.server().WaitForRequests(4));
  // The answer to a call of its own comes after any request that was sent before it.
  ASSERT_TRUE(storage_->List("gs://bucket/").ok());
  EXPECT_EQ(fake_.server().requests().size(), 5U);
  fetcher_->Forget(objects[2]);
  ASSERT_TRUE(fake_.server().WaitForRequests(6)) << "what was forgotten makes room";
  EXPECT_EQ(fake_.server().requests().back().path(), "/storage/v1/b/bucket/o/4");
  fetcher_->Forget(objects[2]);
  fetcher_->Forget({.uri = "gs://bucket/unknown"});
  {
    const auto stream = fetcher_->Open(objects[0]);
    ASSERT_TRUE(stream.ok());
  }
  ASSERT_TRUE(fake_.server().WaitForRequests(7)) << "so does what is closed before its end";
  for (const int i : {1, 3, 4, 5}) {
    ExpectFetched(objects[static_cast<size_t>(i)], RandomBytes(i, kPieceBytes));
  }
  EXPECT_EQ(fake_.server().requests().size(), 7U);
}

TEST_F(FetcherTest, OnlyTimeInWhichBytesAreMissingIsWaitedFor) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, kPieceBytes));
  Start(Small());
  EXPECT_EQ(fetcher_->waited().count(), 0);
  const auto begin = Clock::now();
  const auto stream = fetcher_->Open(object).ValueOrDie();
  ASSERT_TRUE(ReadAll(stream.get()).ok());
  const auto waited = fetcher_->waited();
  EXPECT_GT(waited.count(), 0) << "no byte is there at once";
  EXPECT_LE(waited, Clock::now() - begin);
  std::vector<uint8_t> more(1);
  ASSERT_EQ(stream->Read(more).ValueOrDie(), 0);
  EXPECT_EQ(fetcher_->waited(), waited) << "the end is known";
}

TEST_F(FetcherTest, PlannedObjectsAreAskedForInTheirOrderAndOnce) {
  std::vector<source::Object> objects;
  for (const int i : {5, 3, 9, 1, 7}) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), RandomBytes(i, 10)));
  }
  objects.push_back(fake_.Put("bucket", "empty", ""));
  Start(Small(1));
  for (const source::Object& object : objects) fetcher_->Plan(object);
  fetcher_->Plan(objects[0]);
  ASSERT_TRUE(fake_.server().WaitForRequests(5));
  ExpectFetched(objects[5], "");
  ExpectFetched(objects[4], RandomBytes(7, 10));
  ExpectFetched(objects[0], RandomBytes(5, 10));
  const auto requests = fake_.server().requests();
  ASSERT_EQ(requests.size(), 5U) << "none for an object without bytes, one for each other";
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(requests[i].path().ends_with(objects[i].uri.substr(std::size("gs://bucket"))));
    EXPECT_EQ(requests[i].header("accept-encoding"), "gzip");
    EXPECT_EQ(requests[i].parameter("generation"), std::to_string(objects[i].generation));
  }
  // Read, an object is as new.
  ExpectFetched(objects[0], RandomBytes(5, 10));
  EXPECT_EQ(fake_.server().requests().size(), 6U);
}

TEST_F(FetcherTest, TwoStreamsOfOneObjectHaveItEach) {
  const std::string bytes = RandomBytes(1, 5 * kPieceBytes + 1);
  const auto object = fake_.Put("bucket", "x", bytes);
  Start(Small());
  fetcher_->Plan(object);
  const auto first = fetcher_->Open(object).ValueOrDie();
  const auto second = fetcher_->Open(object).ValueOrDie();
  EXPECT_TRUE(*ReadAll(second.get()) == bytes);
  EXPECT_TRUE(*ReadAll(first.get()) == bytes);
}

TEST_F(FetcherTest, WrongByteIsAnErrorThatNamesTheObject) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, 5 * kPieceBytes));
  const auto small = fake_.Put("bucket", "y", "123456789");
  fake_.after = [](const ServerRequest& request, ServerResponse* response) {
    if (request.header("range").starts_with("bytes=2000-") || request.path().ends_with("/y")) {
      response->body[7] ^= 1;
    }
  };
  Start(Small());
  ExpectFault(object, Fault::kInput);
  ExpectFault(small, Fault::kInput);
  const auto stream = fetcher_->Open(small).ValueOrDie();
  const Status status = ReadAll(stream.get()).status();
  EXPECT_NE(status.ToString().find("CRC-32C"), std::string::npos) << status;
  uint8_t byte = 0;
  EXPECT_FALSE(stream->Read({&byte, 1}).ok()) << "and it stays so";
}

TEST_F(FetcherTest, ObjectThatWasReplacedOrDeletedSinceItWasListedIsAnError) {
  const auto old = fake_.Put("bucket", "x", RandomBytes(1, 3 * kPieceBytes));
  fake_.Put("bucket", "x", RandomBytes(2, 3 * kPieceBytes));
  Start(Small());
  ExpectFault(old, Fault::kInput);
  ExpectFault({.uri = "gs://bucket/none", .size_bytes = 1, .generation = 7}, Fault::kInput);
  EXPECT_EQ(notes().size(), 0U) << "not tried again";
}

TEST_F(FetcherTest, AnotherGenerationIsSeenAlsoWhereTheServiceDoesNotLookAtIt) {
  auto old = fake_.Put("bucket", "x", RandomBytes(1, 3 * kPieceBytes));
  const auto now = fake_.Put("bucket", "x", RandomBytes(2, 3 * kPieceBytes));
  old.crc32c.reset();
  const Ending ending(this);
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    return ServerResponse{.status = 206,
                          .headers = {"x-goog-generation: " + std::to_string(now.generation)},
                          .body = RandomBytes(2, kPieceBytes)};
  };
  Start(Small());
  ExpectFault(old, Fault::kInput);
}

TEST_F(FetcherTest, ObjectReplacedWhileItIsReadIsAnError) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, 20 * kPieceBytes));
  Start(Small(1, 2 * kPieceBytes));
  const auto stream = fetcher_->Open(object).ValueOrDie();
  std::vector<uint8_t> buffer(kPieceBytes);
  ASSERT_GT(*stream->Read(buffer), 0);
  fake_.Put("bucket", "x", RandomBytes(2, 20 * kPieceBytes));
  const auto rest = ReadAll(stream.get());
  ASSERT_FALSE(rest.ok());
  EXPECT_EQ(FaultOf(rest.status()), Fault::kInput) << rest.status();
}

TEST_F(FetcherTest, ServiceThatIgnoresRangesIsAnErrorAndNotWrongBytes) {
  auto object = fake_.Put("bucket", "x", RandomBytes(1, 5 * kPieceBytes));
  object.crc32c.reset();
  const Ending ending(this);
  fake_.before = [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.header("range").empty()) return std::nullopt;
    return ServerResponse{.body = RandomBytes(1, 5 * kPieceBytes)};
  };
  Start(Small());
  ExpectFault(object, Fault::kInput);
}

TEST_F(FetcherTest, AnotherRangeThanWasAskedForIsAnErrorAndNotWrongBytes) {
  auto object = fake_.Put("bucket", "x", RandomBytes(1, 5 * kPieceBytes));
  object.crc32c.reset();
  Shared<std::string> range;
  const Ending ending(this);
  fake_.after = [&](const ServerRequest& request, ServerResponse* response) {
    if (!request.header("range").starts_with("bytes=2000-")) return;
    response->body = RandomBytes(9, kPieceBytes);
    response->headers.back() = "Content-Range: " + range.Get();
  };
  for (const char* one :
       {"bytes 0-999/5000", "bytes 2001-3000/5000", "bytes 2000-2999/5001", "bytes 2000-2999/4999",
        "bytes 2000-2998/5000", "bytes */5000", "bytes", "", "2000-2999/5000", "bytes 2000-2999"}) {
    SCOPED_TRACE(one);
    range.Set(one);
    Start(Small());
    ExpectFault(object, Fault::kInput);
  }
  for (const char* one : {"bytes 2000-2999/5000", "bytes 2000-2999/*", "Bytes 2000-2999/5000"}) {
    range.Set(one);
    Start(Small());
    EXPECT_TRUE(Fetch(object).ok()) << one;
  }
}

TEST_F(FetcherTest, ObjectOfAnotherSizeThanItsListingSaysIsAnError) {
  // Of one piece and of several; the checksum known and not.
  for (const int64_t size : {kPieceBytes / 2, 4 * kPieceBytes, 4 * kPieceBytes - 500}) {
    for (const int64_t said :
         {size - 300, size + 300, size + kPieceBytes, size + 3 * kPieceBytes}) {
      for (const bool has_crc : {false, true}) {
        SCOPED_TRACE(std::to_string(size) + " bytes, listed as " + std::to_string(said) +
                     (has_crc ? " with" : " without") + " a checksum");
        auto object = fake_.Put("bucket", "x", RandomBytes(1, static_cast<size_t>(size)));
        object.size_bytes = said;
        if (!has_crc) object.crc32c.reset();
        Start(Small());
        ExpectFault(object, Fault::kInput);
      }
    }
  }
}

TEST_F(FetcherTest, WhatIsOfNoSaidLengthIsCheckedByItsBytes) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, 500));
  std::atomic<int64_t> change = 0;
  const Ending ending(this);
  fake_.after = [&](const ServerRequest& request, ServerResponse* response) {
    response->content_length = -1;
    if (request.header("range").empty() && change != 0) {
      response->body.resize(static_cast<size_t>(500 + change), 'x');
    }
  };
  Start(Small());
  ExpectFetched(object, RandomBytes(1, 500));
  change = -100;
  ExpectFetched(object, RandomBytes(1, 500));
  EXPECT_EQ(notes().size(), 1U) << "the rest is asked for";
  EXPECT_EQ(fake_.server().requests().back().header("range"), "bytes=400-499");
  change = 100;
  Start(Small());
  ExpectFault(object, Fault::kInput);
}

TEST_F(FetcherTest, SizeThatCannotBeIsNoEndlessWait) {
  fake_.Put("bucket", "x", "x");
  Start(Small());
  const auto stream = fetcher_->Open({.uri = "gs://bucket/x", .size_bytes = -5}).ValueOrDie();
  EXPECT_EQ(*ReadAll(stream.get()), "");
}

TEST_F(FetcherTest, TransferThatBreaksGoesOnWhereItStopped) {
  const std::string bytes = RandomBytes(1, kPieceBytes);
  const auto object = fake_.Put("bucket", "x", bytes);
  std::atomic<int> times = 0;
  const Ending ending(this);
  fake_.after = [&](const ServerRequest&, ServerResponse* response) {
    if (++times <= 3) response->close_after = 200;
  };
  // As many attempts as breaks: each that gains something counts as the first.
  Start(Small(), {.retry = FastRetry(2)});
  ExpectFetched(object, bytes);
  std::vector<std::string> ranges;
  for (const ServerRequest& request : fake_.server().requests()) {
    ranges.push_back(request.header("range"));
  }
  EXPECT_EQ(ranges,
            (std::vector<std::string>{"", "bytes=200-999", "bytes=400-999", "bytes=600-999"}));
  const auto said = notes();
  ASSERT_EQ(said.size(), 3U);
  EXPECT_EQ(said[0].find("gs://bucket/x, byte 200: "), 0U) << said[0];
}

TEST_F(FetcherTest, TroubleThatStaysIsAnErrorForItsObjectAlone) {
  const auto bad = fake_.Put("bucket", "bad", RandomBytes(1, 3 * kPieceBytes));
  const auto good = fake_.Put("bucket", "good", RandomBytes(2, 3 * kPieceBytes));
  fake_.before = [](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.path().ends_with("/bad") && request.header("range").starts_with("bytes=1000")) {
      return FakeStorage::Error(503, "backendError", "busy");
    }
    return std::nullopt;
  };
  Start(Small(), {.retry = FastRetry(3)});
  fetcher_->Plan(bad);
  fetcher_->Plan(good);
  const auto stream = fetcher_->Open(bad).ValueOrDie();
  std::string before;
  std::vector<uint8_t> buffer(300);
  Status status;
  while (status.ok()) {
    const auto n = stream->Read(buffer);
    status = n.status();
    if (n.ok())
      before.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(*n));
  }
  EXPECT_TRUE(before == RandomBytes(1, 3 * kPieceBytes).substr(0, kPieceBytes))
      << "what came before it is given";
  EXPECT_EQ(FaultOf(status), Fault::kStorage) << status;
  EXPECT_NE(status.ToString().find("503 Service Unavailable: busy), after 3 attempts"),
            std::string::npos)
      << status;
  EXPECT_EQ(notes().size(), 2U);
  ExpectFetched(good, RandomBytes(2, 3 * kPieceBytes));
}

TEST_F(FetcherTest, ServiceThatGivesAByteATimeIsGivenUpInTheEnd) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, kPieceBytes));
  fake_.after = [](const ServerRequest&, ServerResponse* response) { response->close_after = 1; };
  Start(Small(), {.retry = FastRetry(2)});
  ExpectFault(object, Fault::kStorage);
  EXPECT_LE(fake_.server().requests().size(), 100U);
}

TEST_F(FetcherTest, TokenThatEndsInTheMiddleIsRenewedOnceForAll) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 40; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), RandomBytes(i, 3 * kPieceBytes)));
  }
  constexpr int kAtOnce = 8;
  fake_.SetToken("old");
  std::atomic<int> requests = 0;
  const Ending ending(this);
  fake_.before = [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    // Those that are under way when it ends are refused together.
    const int number = ++requests;
    if (number <= 20 || number > 20 + kAtOnce) return std::nullopt;
    EXPECT_EQ(request.header("authorization"), "Bearer old");
    if (number == 20 + kAtOnce) {
      fake_.SetToken("new");
      fake_.server().Release();
    }
    auto refusal = FakeStorage::Error(401, "authError", "Invalid Credentials");
    refusal.wait = true;
    return refusal;
  };
  std::atomic<int> renewals = 0;
  const auto token = [&](bool renew) -> Result<std::string> {
    if (renew) ++renewals;
    return renewals == 0 ? "old" : "new";
  };
  Start(Small(kAtOnce), {.token = token, .retry = FastRetry()});
  for (const source::Object& object : objects) fetcher_->Plan(object);
  for (int i = 0; i < 40; ++i) {
    ExpectFetched(objects[static_cast<size_t>(i)], RandomBytes(i, 3 * kPieceBytes));
  }
  EXPECT_EQ(renewals, 1);
}

TEST_F(FetcherTest, RenewingATokenIsNoneOfTheAttempts) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, 100));
  std::atomic<int> requests = 0;
  const Ending ending(this);
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    switch (++requests) {
      case 1:
        return FakeStorage::Error(401, "authError", "Invalid Credentials");
      case 2:
        return FakeStorage::Error(503, "backendError", "busy");
      default:
        return std::nullopt;
    }
  };
  Start(Small(),
        {.token = [](bool) -> Result<std::string> { return "token"; }, .retry = FastRetry(2)});
  ExpectFetched(object, RandomBytes(1, 100));
}

TEST_F(FetcherTest, TokenThatIsRefusedAgainIsAnErrorThatDoesNotHaveIt) {
  const auto object = fake_.Put("bucket", "x", RandomBytes(1, 3 * kPieceBytes));
  fake_.before = [](const ServerRequest& request) -> std::optional<ServerResponse> {
    const std::string sent = request.header("authorization");
    return FakeStorage::Error(401, "authError", "refused: " + sent);
  };
  Start(Small(), {.token = [](bool renew) -> Result<std::string> {
                    return renew ? "planted-secret-2" : "planted-secret-1";
                  },
                  .retry = FastRetry()});
  ExpectFault(object, Fault::kInput);
  std::string said = FormatForUser(Fetch(object).status());
  for (const std::string& note : notes()) said += note;
  EXPECT_NE(said.find("401 Unauthorized: refused: Bearer"), std::string::npos) << said;
  EXPECT_EQ(said.find("planted"), std::string::npos) << said;
}

TEST_F(FetcherTest, TokenThatCannotBeHadIsTheErrorOfEachOfManyObjects) {
  constexpr int kCount = 5000;
  std::atomic<int64_t> asked = 0;
  std::atomic<bool> works = false;
  const auto token = [&](bool) -> Result<std::string> {
    ++asked;
    if (works) return "token";
    return Fail(Fault::kUsage, "log in first");
  };
  const auto object = fake_.Put("bucket", "x", "x");
  Start(Small(16, kCount * kPieceBytes), {.token = token, .retry = FastRetry()});
  const auto one = [&](int i) -> source::Object {
    return {.uri = "gs://bucket/" + std::to_string(i), .size_bytes = 1, .generation = 1};
  };
  for (int i = 0; i < kCount; ++i) fetcher_->Plan(one(i));
  for (int i = 0; i < kCount; ++i) {
    const auto bytes = Fetch(one(i));
    ASSERT_FALSE(bytes.ok());
    ASSERT_EQ(FaultOf(bytes.status()), Fault::kUsage) << bytes.status();
  }
  EXPECT_LE(asked, kCount);
  EXPECT_EQ(fake_.server().requests().size(), 0U);
  works = true;
  ExpectFetched(object, "x");
}

TEST_F(FetcherTest, TokenThatIsLostInTheMiddleEndsAllThatIsLeft) {
  // Found on the thread of the transfers, each of which begins the next.
  constexpr int kCount = 5000;
  std::atomic<int64_t> asked = 0;
  const auto token = [&](bool) -> Result<std::string> {
    if (++asked <= 50) return "token";
    return Fail(Fault::kUsage, "logged out");
  };
  std::vector<source::Object> objects;
  for (int i = 0; i < kCount; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), "x"));
  }
  Start(Small(4, 2 * kCount * kPieceBytes), {.token = token, .retry = FastRetry()});
  for (const source::Object& object : objects) fetcher_->Plan(object);
  int good = 0;
  for (const source::Object& object : objects) {
    const auto bytes = Fetch(object);
    if (bytes.ok()) ++good;
    if (!bytes.ok()) {
      ASSERT_EQ(FaultOf(bytes.status()), Fault::kUsage) << bytes.status();
    }
  }
  EXPECT_EQ(good, 50);
}

TEST_F(FetcherTest, StopEndsReadersThatWaitAndThoseToCome) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 4; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), RandomBytes(i, 10 * kPieceBytes)));
  }
  fake_.after = [](const ServerRequest&, ServerResponse* response) { response->stall_after = 10; };
  Start(Small());
  std::vector<Status> statuses(objects.size());
  std::vector<std::thread> readers;
  for (size_t i = 0; i < objects.size(); ++i) {
    readers.emplace_back([&, i] { statuses[i] = Fetch(objects[i]).status(); });
  }
  ASSERT_TRUE(fake_.server().WaitForStalled(8)) << "as many as there may be connections";
  const auto begin = Clock::now();
  std::thread stopper([&] { fetcher_->Stop(); });
  for (std::thread& reader : readers) reader.join();
  stopper.join();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  for (const Status& status : statuses) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(FaultOf(status), Fault::kInterrupted) << status;
  }
  const size_t requests = fake_.server().requests().size();
  ExpectFault(objects[0], Fault::kInterrupted);
  fetcher_->Plan(objects[1]);
  EXPECT_EQ(fake_.server().requests().size(), requests);
}

TEST_F(FetcherTest, EndsWithTransfersUnderWayAndWaitsPending) {
  for (const bool answers : {false, true}) {
    std::atomic<int> number = 0;
    FakeStorage fake;
    std::vector<source::Object> objects;
    for (int i = 0; i < 20; ++i) {
      objects.push_back(fake.Put("bucket", std::to_string(i), RandomBytes(i, 5 * kPieceBytes)));
    }
    fake.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
      const int kind = ++number % 3;
      if (answers && kind == 0) return std::nullopt;
      if (kind == 1) return ServerResponse{.status = 500, .headers = {"Retry-After: 3600"}};
      return ServerResponse{.wait = true};
    };
    auto storage = CloudStorage::Make(
        {.endpoint = fake.url(), .retry = {.longest_wait = std::chrono::hours(1)}});
    ASSERT_TRUE(storage.ok());
    auto fetcher = std::make_unique<Fetcher>(storage->get(), Small(12));
    auto stream = fetcher->Open(objects[0]).ValueOrDie();
    for (const source::Object& object : objects) fetcher->Plan(object);
    ASSERT_TRUE(fake.server().WaitForRequests(12));
    const auto begin = Clock::now();
    if (answers) stream.reset();
    fetcher.reset();
    stream.reset();
    storage->reset();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  }
}

TEST_F(FetcherTest, ConnectionsAreHalvedWhereTheServiceAsksForLess) {
  const auto object = fake_.Put("bucket", "x", "x");
  const Ending ending(this);
  fake_.before = [&](const ServerRequest&) -> std::optional<ServerResponse> {
    if (fake_.server().requests().size() > 1) return std::nullopt;
    return FakeStorage::Error(429, "rateLimitExceeded", "slower");
  };
  Start(Small(32));
  EXPECT_EQ(fetcher_->connections(), 32);
  ExpectFetched(object, "x");
  EXPECT_EQ(fetcher_->connections(), 16);
}

TEST_F(FetcherTest, NotMoreConnectionsAreOpenThanMayBe) {
  std::vector<source::Object> objects;
  for (int i = 0; i < 100; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), RandomBytes(i, 3 * kPieceBytes)));
  }
  Start(Small(5, 1000 * kPieceBytes));
  for (const source::Object& object : objects) fetcher_->Plan(object);
  for (int i = 0; i < 100; ++i) {
    ExpectFetched(objects[static_cast<size_t>(i)], RandomBytes(i, 3 * kPieceBytes));
  }
  EXPECT_EQ(fake_.server().most_connections(), 5U);
  EXPECT_EQ(fake_.server().all_connections(), 5U) << "and they are used again";
}

TEST_F(FetcherTest, TwentyThousandObjectsTakeTimeInProportion) {
  constexpr int kCount = 20'000;
  constexpr std::chrono::seconds kFarTooLong{5};
  std::vector<source::Object> objects;
  objects.reserve(kCount);
  for (int i = 0; i < kCount; ++i) {
    objects.push_back(fake_.Put("bucket", std::to_string(i), std::to_string(i)));
  }
  Start(Small(8, 1000 * kPieceBytes));
  auto begin = Clock::now();
  for (const source::Object& object : objects) fetcher_->Plan(object);
  EXPECT_LT(Clock::now() - begin, kFarTooLong) << "planning";
  for (int i = 0; i < kCount; ++i) {
    const auto bytes = Fetch(objects[static_cast<size_t>(i)]);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    ASSERT_EQ(*bytes, std::to_string(i));
  }
  begin = Clock::now();
  for (const source::Object& object : objects) fetcher_->Plan(object);
  for (int i = kCount; i-- > 0;) fetcher_->Forget(objects[static_cast<size_t>(i)]);
  EXPECT_LT(Clock::now() - begin, 2 * kFarTooLong) << "planning and forgetting";
}

}  // namespace
}  // namespace hayate::cloud
