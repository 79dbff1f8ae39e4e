#include "hayate/worker/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace hayate::worker {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kMaxDescriptors = 8;

uint32_t DecodeLength(const std::string& bytes) {
  uint32_t length = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    length |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return length;
}

std::string Encode(const std::string& body) {
  std::string bytes;
  bytes.reserve(kHeaderBytes + body.size());
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    bytes += static_cast<char>((body.size() >> (8 * i)) & 0xff);
  }
  return bytes + body;
}

Status GoneOrBroken(int error_number) {
  if (error_number == EAGAIN || error_number == EWOULDBLOCK) {
    return Fail(Fault::kWorkerDied, "the other side of a channel does not read");
  }
  if (error_number == EPIPE || error_number == ECONNRESET) {
    return Fail(Fault::kWorkerDied, "the other side of a channel is gone");
  }
  return FailErrno(error_number, "a channel is broken");
}

// Takes the first whole message out of `pending`; nullopt while it has not arrived whole.
Result<std::optional<Json>> TakeMessage(std::string* pending) {
  if (pending->size() < kHeaderBytes) return std::nullopt;
  const uint32_t length = DecodeLength(*pending);
  if (length > kMaxMessageBytes) {
    return Fail(Fault::kInternal,
                "a message of " + std::to_string(length) + " bytes was announced: too large");
  }
  if (pending->size() < kHeaderBytes + length) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(
      Json message,
      ParseJson(std::string_view(*pending).substr(kHeaderBytes, length), "a message"));
  pending->erase(0, kHeaderBytes + length);
  if (!message.is_object() || !message.contains("type") || !message["type"].is_string()) {
    return Fail(Fault::kInternal, "a message is no object with a member \"type\"");
  }
  return message;
}

}  // namespace

Result<Channel> Channel::FromEnvironment() {
  const char* text = std::getenv("HAYATE_FD");
  char* end = nullptr;
  const int64_t number = text == nullptr ? -1 : std::strtol(text, &end, 10);
  const bool parsed = text != nullptr && end != text && *end == '\0' && number >= 0;
  if (!parsed || fcntl(static_cast<int>(number), F_SETFD, FD_CLOEXEC) != 0) {
    return Fail(Fault::kUsage, "HAYATE_FD names no open socket", {},
                "Do not start this program yourself: the hayate command does.");
  }
  return Channel(FileDescriptor(static_cast<int>(number)));
}

Result<std::pair<Channel, Channel>> Channel::Pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return FailErrno(errno, "a socket cannot be made");
  }
  return std::make_pair(Channel(FileDescriptor(fds[0])), Channel(FileDescriptor(fds[1])));
}

Status Channel::Send(const Json& message, const std::vector<int>& fds) {
  const std::string bytes = Encode(ToCanonicalText(message));
  if (bytes.size() - kHeaderBytes > kMaxMessageBytes) {
    return Fail(Fault::kInternal, "a message of " + std::to_string(bytes.size()) +
                                      " bytes exceeds what the protocol allows");
  }
  if (fds.size() > kMaxDescriptors) {
    return Fail(Fault::kInternal, "too many descriptors for one message");
  }
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  size_t sent = 0;
  while (sent < bytes.size()) {
    iovec piece{const_cast<char*>(bytes.data()) + sent, bytes.size() - sent};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      header.msg_control = control.data();
      header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
    }
    // MSG_NOSIGNAL: a side that is gone is a Status, not a SIGPIPE.
    const ssize_t count = sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return GoneOrBroken(errno);
    sent += static_cast<size_t>(count);
  }
  return Status::OK();
}

Result<std::optional<Json>> Channel::Receive() {
  std::array<char, kReadBytes> buffer;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(std::optional<Json> message, TakeMessage(&pending_));
    if (message) return message;
    const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != ECONNRESET) return GoneOrBroken(errno);
    if (count <= 0) {
      if (pending_.empty()) return std::nullopt;
      return Fail(Fault::kWorkerDied, "the stream ended inside a message");
    }
    pending_.append(buffer.data(), static_cast<size_t>(count));
  }
}

Result<std::vector<Json>> Channel::ReceiveAvailable(bool* closed) {
  *closed = false;
  std::vector<Json> messages;
  std::array<char, kReadBytes> buffer;
  // Bounded: a child that never stops talking must not keep us from the others.
  for (size_t total = 0; total <= kHeaderBytes + kMaxMessageBytes;) {
    const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (count < 0 && errno != ECONNRESET) return GoneOrBroken(errno);
    if (count <= 0) {
      *closed = true;
      break;
    }
    pending_.append(buffer.data(), static_cast<size_t>(count));
    total += static_cast<size_t>(count);
  }
  while (true) {
    ARROW_ASSIGN_OR_RAISE(std::optional<Json> message, TakeMessage(&pending_));
    if (!message) return messages;
    messages.push_back(*std::move(message));
  }
}

}  // namespace hayate::worker
