#include "hayate/worker/channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace hayate::worker {
namespace {

std::pair<Channel, Channel> MakePair() {
  auto pair = Channel::Pair();
  EXPECT_TRUE(pair.ok()) << pair.status();
  return *std::move(pair);
}

void WriteRaw(const Channel& channel, std::string_view bytes) {
  ASSERT_EQ(send(channel.fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
}

std::string Framed(std::string_view body) {
  std::string bytes(4, '\0');
  bytes[0] = static_cast<char>(body.size());
  return bytes.append(body);
}

TEST(ChannelTest, CarriesMessagesInOrder) {
  auto [a, b] = MakePair();
  ASSERT_TRUE(a.Send({{"type", "hello"}, {"name", "はやて"}}).ok());
  ASSERT_TRUE(a.Send({{"type", "exit"}}).ok());
  const auto first = b.Receive();
  ASSERT_TRUE(first.ok() && *first) << first.status();
  EXPECT_EQ((**first)["name"], "はやて");
  EXPECT_EQ((**b.Receive())["type"], "exit");
}

TEST(ChannelTest, EndsCleanlyBetweenMessages) {
  auto [a, b] = MakePair();
  {
    const Channel gone = std::move(a);
  }
  const auto end = b.Receive();
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
}

TEST(ChannelTest, FailsWhenTheStreamEndsInsideAMessage) {
  auto [a, b] = MakePair();
  WriteRaw(a, Framed(R"({"type":"exit"})").substr(0, 9));
  {
    const Channel gone = std::move(a);
  }
  EXPECT_FALSE(b.Receive().ok());
}

TEST(ChannelTest, AssemblesAMessageFromSingleBytes) {
  auto [a, b] = MakePair();
  for (const char byte : Framed(R"({"type":"exit"})")) {
    bool closed = false;
    const auto none = b.ReceiveAvailable(&closed);
    ASSERT_TRUE(none.ok() && none->empty() && !closed);
    WriteRaw(a, {&byte, 1});
  }
  bool closed = false;
  const auto messages = b.ReceiveAvailable(&closed);
  ASSERT_TRUE(messages.ok()) << messages.status();
  ASSERT_EQ(messages->size(), 1U);
  EXPECT_FALSE(closed);
}

TEST(ChannelTest, GivesWhatArrivedBeforeTheEnd) {
  auto [a, b] = MakePair();
  ASSERT_TRUE(a.Send({{"type", "done"}}).ok());
  ASSERT_TRUE(a.Send({{"type", "bye"}}).ok());
  {
    const Channel gone = std::move(a);
  }
  bool closed = false;
  const auto messages = b.ReceiveAvailable(&closed);
  ASSERT_TRUE(messages.ok());
  EXPECT_EQ(messages->size(), 2U);
  EXPECT_TRUE(closed);
}

TEST(ChannelTest, CarriesMessagesLargerThanTheSocketBuffer) {
  auto [a, b] = MakePair();
  const std::string text(5'000'000, 'x');
  std::thread sender([&a = a, &text] { EXPECT_TRUE(a.Send({{"type", "t"}, {"x", text}}).ok()); });
  const auto message = b.Receive();
  sender.join();
  ASSERT_TRUE(message.ok() && *message);
  EXPECT_EQ((**message)["x"].get<std::string>().size(), text.size());
}

TEST(ChannelTest, RefusesALengthBeyondTheLimitBeforeReadingIt) {
  auto [a, b] = MakePair();
  WriteRaw(a, "\xff\xff\xff\xff");
  EXPECT_FALSE(b.Receive().ok());
}

TEST(ChannelTest, RefusesToSendBeyondTheLimit) {
  auto [a, b] = MakePair();
  EXPECT_FALSE(a.Send({{"type", "t"}, {"x", std::string(kMaxMessageBytes, 'x')}}).ok());
}

TEST(ChannelTest, RefusesWhatIsNoMessage) {
  for (const char* body : {"{{{", "[]", "{}", R"({"type":1})", "\"x\"", ""}) {
    auto [a, b] = MakePair();
    WriteRaw(a, Framed(body));
    EXPECT_FALSE(b.Receive().ok()) << body;
  }
}

TEST(ChannelTest, SaysThatTheOtherSideIsGone) {
  auto [a, b] = MakePair();
  {
    const Channel gone = std::move(b);
  }
  const Status sent = a.Send({{"type", "exit"}});
  EXPECT_EQ(FaultOf(sent), Fault::kWorkerDied) << sent;
}

TEST(ChannelTest, PassesDescriptors) {
  auto [a, b] = MakePair();
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const FileDescriptor read_end(pipe_fds[0]);
  FileDescriptor write_end(pipe_fds[1]);
  ASSERT_TRUE(a.Send({{"type", "task"}}, {write_end.get()}).ok());
  write_end.Reset();
  char buffer[64];
  iovec piece{buffer, sizeof(buffer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ASSERT_GT(recvmsg(b.fd(), &header, 0), 0);
  const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  if (rights == nullptr) FAIL() << "no descriptor has come";
  int received = -1;
  memcpy(&received, CMSG_DATA(rights), sizeof(received));
  const FileDescriptor owned(received);
  EXPECT_EQ(write(received, "x", 1), 1);
  EXPECT_EQ(read(read_end.get(), buffer, 1), 1);
}

TEST(ErrorJsonTest, KeepsEveryMemberAcrossTheBorder) {
  const Where where{.object = "a.csv",
                    .byte = 1,
                    .row = 2,
                    .line = 3,
                    .column = "c",
                    .stage = "s",
                    .partition = 4};
  const Status plain = Fail(Fault::kUserCode, "ValueError: no");
  const Status before =
      plain.WithDetail(std::make_shared<FaultDetail>(Fault::kUserCode, where, "Fix it.", "trace"));
  const Status after = ErrorFromJson(ErrorToJson(before));
  EXPECT_EQ(after.message(), before.message());
  const FaultDetail* detail = FaultDetail::Get(after);
  ASSERT_NE(detail, nullptr);
  EXPECT_EQ(detail->fault(), Fault::kUserCode);
  EXPECT_EQ(detail->where().ToString(), where.ToString());
  EXPECT_EQ(detail->remedy(), "Fix it.");
  EXPECT_EQ(TracebackOf(after), "trace");
}

TEST(ErrorJsonTest, TakesAnErrorThatIsNoneAsABug) {
  for (const char* text : {"null", "[]", "{}", R"({"what":3})"}) {
    EXPECT_EQ(FaultOf(ErrorFromJson(*ParseJson(text, "t"))), Fault::kInternal) << text;
  }
}

TEST(ErrorJsonTest, AddsStageAndPartitionOnlyWhereTheyAreMissing) {
  const Status bare = AtStage(Fail(Fault::kInput, "x"), "features", 3);
  EXPECT_EQ(FaultDetail::Get(bare)->where().ToString(), "stage features, partition 3");
  const Status set = AtStage(Fail(Fault::kInput, "x", {.stage = "own"}), "features", std::nullopt);
  EXPECT_EQ(FaultDetail::Get(set)->where().ToString(), "stage own");
  EXPECT_EQ(FaultOf(AtStage(Status::IOError("disk"), "s", std::nullopt)), Fault::kStorage);
}

}  // namespace
}  // namespace hayate::worker
