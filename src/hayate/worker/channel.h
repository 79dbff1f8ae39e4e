#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "hayate/base/file.h"
#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::worker {

/// Largest message either side accepts (docs/formats/protocol.md).
inline constexpr uint32_t kMaxMessageBytes = 64u << 20;

/// One end of the protocol: length-prefixed JSON over a stream socket. One thread.
class Channel {
 public:
  explicit Channel(FileDescriptor socket) : socket_(std::move(socket)) {}
  /// The socket named by HAYATE_FD in the environment.
  static Result<Channel> FromEnvironment();
  /// Two connected ends, close-on-exec.
  static Result<std::pair<Channel, Channel>> Pair();

  int fd() const { return socket_.get(); }

  /// Blocks until all is sent. `fds` travel along (SCM_RIGHTS).
  Status Send(const Json& message, const std::vector<int>& fds = {});
  /// The next message; nullopt at the end of the stream. Blocks.
  Result<std::optional<Json>> Receive();
  /// What has arrived whole, without blocking; `*closed` is set at the end of the stream.
  Result<std::vector<Json>> ReceiveAvailable(bool* closed);

 private:
  FileDescriptor socket_;
  std::string pending_;
};

/// The error object of the protocol ↔ Status.
Json ErrorToJson(const Status& status);
Status ErrorFromJson(const Json& error);

}  // namespace hayate::worker
