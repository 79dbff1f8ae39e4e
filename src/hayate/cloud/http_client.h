#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hayate/base/status.h"

namespace hayate::cloud {

struct HttpResponse {
  int status = 0;                              ///< 0: there was no answer, see `error`
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string error;  ///< why the transfer failed, if it did; the status may be known all the same
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  /// The header of that name: "Bearer …". Taken out of an answer that refuses and repeats it, so
  /// that it can get into no error.
  std::string authorization;
  std::string body;  ///< sent where the method is POST
  /// The body of the answer as it comes, if its status is 200 or 206 (any other goes into
  /// HttpResponse::body); `head` has the status and the headers. On the client's thread; must not
  /// wait. False ends the transfer.
  std::function<bool(const HttpResponse& head, std::span<const uint8_t> bytes)> on_body;
};

struct HttpOptions {
  std::chrono::seconds connect_timeout{20};
  /// A transfer that brings nothing for so long has failed; it is seen some seconds later, as
  /// libcurl takes the mean over them.
  std::chrono::seconds stall_timeout{30};
};

/// Many HTTP/1.1 transfers at once on one thread of its own (libcurl's multi interface);
/// connections are kept and used again. What was said in the environment of proxies holds.
class HttpClient {
 public:
  using Done = std::function<void(HttpResponse)>;

  static Result<std::unique_ptr<HttpClient>> Make(const HttpOptions& options);
  /// Ends all transfers: each is done with an error before it returns. Not on the client's thread.
  ~HttpClient();

  /// Begins a transfer, after `delay`. From any thread, in callbacks too. `done` is called once, on
  /// the client's thread, and must not wait.
  void Start(HttpRequest request, Done done, std::chrono::milliseconds delay = {});

 private:
  class Engine;
  explicit HttpClient(std::unique_ptr<Engine> engine);
  const std::unique_ptr<Engine> engine_;
};

}  // namespace hayate::cloud
