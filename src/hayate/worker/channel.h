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

/// The error object of the protocol ↔ Status. What has no detail of hayate's own gets the fault of
/// FaultOf. Never fails: an object that is not as it should be becomes Fault::kInternal with its
/// text.
Json ErrorToJson(const Status& status);
Status ErrorFromJson(const Json& error);

/// The traceback of the user's own frames that came with an error; empty where there is none.
std::string TracebackOf(const Status& status);
/// `status` with its stage and partition set where they are not.
Status AtStage(const Status& status, const std::string& stage, std::optional<int64_t> partition);

}  // namespace hayate::worker
