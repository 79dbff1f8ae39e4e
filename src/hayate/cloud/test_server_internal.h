#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "hayate/base/byte_stream.h"
#include "hayate/base/json.h"
#include "hayate/cloud/crc32c.h"
#include "hayate/cloud/retry.h"
#include "hayate/source/source.h"

namespace hayate::cloud {

// What tests wait for comes at once; so long only where it never comes.
inline constexpr std::chrono::seconds kLongestWait{20};

// Before there is any other thread: transfers to here must not go through a proxy.
inline const bool kNoProxy = setenv("no_proxy", "127.0.0.1", 1) == 0;

/// So that trying again takes no time worth speaking of.
inline RetryPolicy FastRetry(int attempts = 4) {
  return {.attempts = attempts,
          .first_wait = std::chrono::milliseconds(1),
          .longest_wait = std::chrono::milliseconds(4)};
}

/// What a test changes while a server's handler may look at it.
template <typename T>
class Shared {
 public:
  void Set(T value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    value_ = std::move(value);
  }
  T Get() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

inline std::string RandomBytes(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

inline std::span<const uint8_t> SpanOf(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

/// All that is left in a stream, in reads of `read_bytes`.
inline Result<std::string> ReadAll(ByteStream* stream, size_t read_bytes = 1 << 16) {
  std::string bytes;
  std::vector<uint8_t> buffer(read_bytes);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, stream->Read(buffer));
    if (n == 0) return bytes;
    bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(n));
  }
}

/// "%41" → "A".
inline std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ec == std::errc()) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

struct ServerRequest {
  std::string method;
  std::string target;                          ///< as it was sent
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;

  std::string path() const { return target.substr(0, target.find('?')); }

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }

  /// The values of a parameter of the query, unescaped.
  std::vector<std::string> parameters(const std::string& name) const {
    std::vector<std::string> values;
    size_t at = target.find('?');
    while (at != std::string::npos) {
      const size_t end = target.find('&', at + 1);
      const std::string one = target.substr(at + 1, end == std::string::npos ? end : end - at - 1);
      if (one.starts_with(name + "=")) values.push_back(Unescape(one.substr(name.size() + 1)));
      at = end;
    }
    return values;
  }
  std::string parameter(const std::string& name) const {
    const auto values = parameters(name);
    return values.empty() ? "" : values[0];
  }
};

/// What is answered, and what goes wrong with it.
struct ServerResponse {
  int status = 200;
  std::vector<std::string> headers = {};  ///< "Name: value"
  std::string body = {};
  /// Said in place of the body's own; below 0: none is said, and the connection's end is the
  /// body's.
  std::optional<int64_t> content_length = {};
  bool wait = false;                       ///< nothing is sent before Release()
  bool hang_up = false;                    ///< nothing is sent: the connection ends
  bool reset = false;                      ///< where the connection ends, it does so by a reset
  std::optional<size_t> close_after = {};  ///< the connection ends after so many bytes of the body
  std::optional<size_t> stall_after = {};  ///< after so many nothing is sent before Release()
};

/// An HTTP/1.1 server on a free port of 127.0.0.1, a thread a connection; connections are kept.
class TestServer {
 public:
  /// On the connections' threads, many at once.
  using Handler = std::function<ServerResponse(const ServerRequest&)>;

  explicit TestServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    const bool listening =
        listener_ >= 0 && bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        listen(listener_, SOMAXCONN) == 0 &&
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (!listening) {
      ADD_FAILURE() << "no server: errno " << errno;
      return;
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~TestServer() { Stop(); }

  /// Ends all connections; after it the handler is not called any more.
  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (std::exchange(stopped_, true)) return;
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
      changed_.notify_all();
    }
    shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    for (Connection& connection : connections_) connection.thread.join();
    close(listener_);
  }

  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// Lets all go on that wait or have stalled, and those to come.
  void Release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

  std::vector<ServerRequest> requests() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }

  /// Whether so many requests have come, in all.
  [[nodiscard]] bool WaitForRequests(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kLongestWait, [&] { return requests_.size() >= count; });
  }

  /// Whether so many of the answers that have to wait or have stalled do so now.
  [[nodiscard]] bool WaitForStalled(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kLongestWait, [&] { return stalled_ >= count; });
  }

  /// How many connections there have been at once, and in all.
  size_t most_connections() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return most_open_;
  }
  size_t all_connections() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return all_;
  }

 private:
  struct Connection {
    std::thread thread;
    bool ended = false;
  };

  void Accept() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_ || fd < 0) {
        if (fd >= 0) close(fd);
        return;
      }
      // Threads that have ended keep their stacks until they are joined.
      std::erase_if(connections_, [](Connection& connection) {
        if (!connection.ended) return false;
        connection.thread.join();
        return true;
      });
      // Else the end of an answer waits for the client's word of its beginning.
      const int at_once = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
      open_.insert(fd);
      ++all_;
      most_open_ = std::max(most_open_, open_.size());
      Connection& connection = connections_.emplace_back();
      connection.thread = std::thread([this, fd, &connection] {
        Serve(fd);
        const std::lock_guard<std::mutex> end_lock(mutex_);
        open_.erase(fd);
        close(fd);
        connection.ended = true;
      });
    }
  }

  void Serve(int fd) {
    std::string received;
    while (true) {
      ServerRequest request;
      if (!Receive(fd, &received, &request)) return;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        requests_.push_back(request);
        changed_.notify_all();
      }
      if (!Answer(fd, handler_(request))) return;
    }
  }

  static bool More(int fd, std::string* received) {
    char buffer[1 << 14];
    const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    received->append(buffer, static_cast<size_t>(n));
    return true;
  }

  static bool Receive(int fd, std::string* received, ServerRequest* request) {
    size_t head_end = 0;
    while ((head_end = received->find("\r\n\r\n")) == std::string::npos) {
      if (!More(fd, received)) return false;
    }
    const std::string head = received->substr(0, head_end + 2);
    received->erase(0, head_end + 4);
    size_t at = head.find("\r\n");
    const std::string first = head.substr(0, at);
    request->method = first.substr(0, first.find(' '));
    request->target = first.substr(request->method.size() + 1);
    request->target.resize(request->target.rfind(' '));
    for (at += 2; at < head.size();) {
      const size_t end = head.find("\r\n", at);
      const size_t colon = std::min(head.find(':', at), end);
      std::string name = head.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const size_t value = std::min(head.find_first_not_of(' ', colon + 1), end);
      request->headers[name] = head.substr(value, end - value);
      at = end + 2;
    }
    const std::string length = request->header("content-length");
    const size_t bytes = length.empty() ? 0 : std::stoul(length);
    while (received->size() < bytes) {
      if (!More(fd, received)) return false;
    }
    request->body = received->substr(0, bytes);
    received->erase(0, bytes);
    return true;
  }

  static bool Send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  void WaitForRelease() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++stalled_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_ || stopped_; });
    --stalled_;
  }

  // False: the connection is of no more use.
  bool Answer(int fd, const ServerResponse& response) {
    if (response.wait) WaitForRelease();
    if (response.reset) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    if (response.hang_up) return false;
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " Test\r\n";
    for (const std::string& header : response.headers) head += header + "\r\n";
    const int64_t length =
        response.content_length.value_or(static_cast<int64_t>(response.body.size()));
    if (length >= 0 && response.status != 204) {
      head += "Content-Length: " + std::to_string(length) + "\r\n";
    }
    const std::string_view body = response.body;
    const size_t sent = std::min({response.close_after.value_or(body.size()),
                                  response.stall_after.value_or(body.size()), body.size()});
    if (!Send(fd, head + "\r\n") || !Send(fd, body.substr(0, sent))) return false;
    if (response.close_after) return false;
    if (response.stall_after) WaitForRelease();
    return Send(fd, body.substr(sent)) && length == static_cast<int64_t>(body.size());
  }

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool released_ = false;
  size_t stalled_ = 0;
  std::vector<ServerRequest> requests_;
  std::list<Connection> connections_;
  std::set<int> open_;
  size_t most_open_ = 0;
  size_t all_ = 0;
};

/// Cloud Storage's JSON API over objects in memory, as far as it is used here.
class FakeStorage {
 public:
  FakeStorage() : server_([this](const ServerRequest& request) { return Handle(request); }) {}

  // Set before the first request. On the connections' threads, many at once.

  /// Answers in place of the service, where it gives an answer.
  std::function<std::optional<ServerResponse>(const ServerRequest&)> before;
  /// Changes what the service has answered.
  std::function<void(const ServerRequest&, ServerResponse*)> after;
  /// The status of one object's deletion within a batch; 0: what it is.
  std::function<int(const std::string& name)> delete_status;

  TestServer& server() { return server_; }
  std::string url() const { return server_.url(); }

  void set_page_size(size_t count) { page_size_ = count; }

  /// From now on no other is taken; "": any, and none.
  void SetToken(const std::string& token) {
    const std::lock_guard<std::mutex> lock(mutex_);
    token_ = token;
  }

  void MakeBucket(const std::string& bucket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    buckets_[bucket];
  }

  /// Writes or overwrites an object, and says what a listing says of it.
  source::Object Put(const std::string& bucket, const std::string& name, std::string bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Stored& stored = PutLocked(bucket, name, std::move(bytes));
    return {.uri = "gs://" + bucket + "/" + name,
            .size_bytes = static_cast<int64_t>(stored.bytes.size()),
            .generation = stored.generation,
            .crc32c = Crc32c(0, SpanOf(stored.bytes))};
  }

  size_t count(const std::string& bucket) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = buckets_.find(bucket);
    return found == buckets_.end() ? 0 : found->second.size();
  }

  /// As the service writes its errors.
  static ServerResponse Error(int status, const std::string& reason, const std::string& message) {
    const Json error = {{"code", status},
                        {"message", message},
                        {"errors", {{{"reason", reason}, {"message", message}}}}};
    return {.status = status,
            .headers = {"Content-Type: application/json"},
            .body = Json{{"error", error}}.dump()};
  }

  static std::string Base64(uint32_t crc) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint64_t bits = uint64_t{crc} << 4;
    std::string text;
    for (int shift = 30; shift >= 0; shift -= 6) text += kAlphabet[bits >> shift & 63];
    return text + "==";
  }

 private:
  struct Stored {
    std::string bytes;
    int64_t generation = 0;
  };
  using Objects = std::map<std::string, Stored>;

  Stored& PutLocked(const std::string& bucket, const std::string& name, std::string bytes) {
    Stored& stored = buckets_[bucket][name];
    stored = {.bytes = std::move(bytes), .generation = ++generation_};
    return stored;
  }

  ServerResponse Handle(const ServerRequest& request) {
    if (before) {
      if (auto answer = before(request)) return *std::move(answer);
    }
    ServerResponse response = Serve(request);
    if (after) after(request, &response);
    return response;
  }

  ServerResponse Serve(const ServerRequest& request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!token_.empty() && request.header("authorization") != "Bearer " + token_) {
      return Error(401, "authError", "Invalid Credentials");
    }
    const std::string path = request.path();
    if (path == "/batch/storage/v1") return Batch(request);
    constexpr std::string_view kBuckets = "/storage/v1/b/";
    constexpr std::string_view kUpload = "/upload/storage/v1/b/";
    if (path.starts_with(kUpload)) {
      return Insert(request,
                    Unescape(path.substr(kUpload.size(), path.rfind('/') - kUpload.size())));
    }
    if (!path.starts_with(kBuckets)) return Error(404, "notFound", "Not Found");
    const std::string rest = path.substr(kBuckets.size());
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string bucket = Unescape(rest.substr(0, slash));
    const std::string what = rest.substr(slash);
    const auto found = buckets_.find(bucket);
    if (found == buckets_.end()) {
      return Error(404, "notFound", "The specified bucket does not exist.");
    }
    if (what.empty()) {
      return Text({{"name", bucket}, {"location", "ASIA-NORTHEAST1"}, {"kind", "storage#bucket"}});
    }
    if (what == "/iam/testPermissions") return Permissions(request);
    if (what == "/o" || what == "/o/") return List(request, found->second);
    return Get(request, found->second, Unescape(what.substr(std::string_view("/o/").size())));
  }

  static ServerResponse Text(const Json& json) {
    return {.headers = {"Content-Type: application/json; charset=UTF-8"}, .body = json.dump()};
  }

  static Json Resource(const std::string& name, const Stored& stored) {
    return {{"name", name},
            {"size", std::to_string(stored.bytes.size())},
            {"generation", std::to_string(stored.generation)},
            {"crc32c", Base64(Crc32c(0, SpanOf(stored.bytes)))}};
  }

  ServerResponse List(const ServerRequest& request, const Objects& objects) const {
    const std::string prefix = request.parameter("prefix");
    const std::string page = request.parameter("pageToken");
    Json listing = {{"kind", "storage#objects"}};
    for (auto one = objects.lower_bound(std::max(prefix, page)); one != objects.end(); ++one) {
      if (!one->first.starts_with(prefix)) break;
      if (listing.contains("items") && listing["items"].size() == page_size_) {
        listing["nextPageToken"] = one->first;
        break;
      }
      listing["items"].push_back(Resource(one->first, one->second));
    }
    return Text(listing);
  }

  static ServerResponse Permissions(const ServerRequest& request) {
    Json json = {{"kind", "storage#testIamPermissionsResponse"}};
    for (const std::string& wanted : request.parameters("permissions")) {
      if (wanted != "storage.objects.delete") json["permissions"].push_back(wanted);
    }
    return Text(json);
  }

  static ServerResponse Get(const ServerRequest& request, const Objects& objects,
                            const std::string& name) {
    const auto found = objects.find(name);
    const std::string generation = request.parameter("generation");
    if (found == objects.end() ||
        (!generation.empty() && generation != std::to_string(found->second.generation))) {
      return Error(404, "notFound", "No such object: " + name);
    }
    if (request.parameter("alt") != "media") return Text(Resource(name, found->second));
    const std::string& bytes = found->second.bytes;
    ServerResponse response{
        .headers = {"Content-Type: application/octet-stream",
                    "x-goog-generation: " + std::to_string(found->second.generation)},
        .body = bytes};
    const std::string range = request.header("range");
    if (range.empty()) return response;
    const size_t first = std::stoul(range.substr(std::string_view("bytes=").size()));
    if (first >= bytes.size()) return Error(416, "requestedRangeNotSatisfiable", "No such range");
    const size_t last =
        std::min<size_t>(std::stoul(range.substr(range.find('-') + 1)), bytes.size() - 1);
    response.status = 206;
    response.body = bytes.substr(first, last - first + 1);
    response.headers.push_back("Content-Range: bytes " + std::to_string(first) + "-" +
                               std::to_string(last) + "/" + std::to_string(bytes.size()));
    return response;
  }

  ServerResponse Insert(const ServerRequest& request, const std::string& bucket) {
    const auto found = buckets_.find(bucket);
    if (found == buckets_.end()) return Error(404, "notFound", "No such bucket");
    const std::string name = request.parameter("name");
    if (request.parameter("ifGenerationMatch") == "0" && found->second.contains(name)) {
      return Error(412, "conditionNotMet", "At least one of the pre-conditions did not hold.");
    }
    return Text(Resource(name, PutLocked(bucket, name, request.body)));
  }

  // Each part is answered by one of its own, by its Content-ID and in an order of the server's.
  ServerResponse Batch(const ServerRequest& request) {
    const std::string type = request.header("content-type");
    const size_t at = type.find("boundary=");
    if (at == std::string::npos) return Error(400, "badRequest", "no boundary");
    const std::string mark = "--" + type.substr(at + std::string_view("boundary=").size());
    std::vector<std::string> parts;
    for (size_t begin = request.body.find(mark); begin != std::string::npos;) {
      const size_t end = request.body.find(mark, begin + mark.size());
      if (end == std::string::npos) break;
      parts.push_back(request.body.substr(begin, end - begin));
      begin = end;
    }
    constexpr size_t kMostParts = 100;
    if (parts.size() > kMostParts) return Error(400, "badRequest", "more than 100 calls");
    std::string body;
    for (size_t i = parts.size(); i-- > 0;) {
      const std::string& part = parts[i];
      const size_t id = part.find('<') + 1;
      const size_t line = part.find("\r\n\r\n") + std::string_view("\r\n\r\n").size();
      ServerRequest inner{.method = part.substr(line, part.find(' ', line) - line)};
      const size_t target = line + inner.method.size() + 1;
      inner.target = part.substr(target, part.find(' ', target) - target);
      const ServerResponse answer =
          inner.method == "DELETE" ? DeleteOne(inner) : Error(400, "badRequest", "no such call");
      body += "--batch_x7\r\nContent-Type: application/http\r\nContent-ID: <response-" +
              part.substr(id, part.find('>') - id) + ">\r\n\r\nHTTP/1.1 " +
              std::to_string(answer.status) +
              " Test\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" +
              answer.body + "\r\n";
    }
    return {.headers = {"Content-Type: multipart/mixed; boundary=batch_x7"},
            .body = body + "--batch_x7--\r\n"};
  }

  ServerResponse DeleteOne(const ServerRequest& request) {
    const std::string path = request.path();
    constexpr std::string_view kBuckets = "/storage/v1/b/";
    const size_t names = path.find("/o/");
    const std::string bucket =
        Unescape(path.substr(kBuckets.size(), std::max(names, kBuckets.size()) - kBuckets.size()));
    const std::string name = Unescape(path.substr(names + std::string_view("/o/").size()));
    if (delete_status) {
      const int status = delete_status(name);
      if (status != 0) return Error(status, "chosen", "chosen by the test");
    }
    Objects& objects = buckets_[bucket];
    const auto found = objects.find(name);
    const std::string generation = request.parameter("generation");
    if (found == objects.end() ||
        (!generation.empty() && generation != std::to_string(found->second.generation))) {
      return Error(404, "notFound", "No such object: " + name);
    }
    objects.erase(found);
    return {.status = 204};
  }

  mutable std::mutex mutex_;
  std::map<std::string, Objects> buckets_;
  int64_t generation_ = 1000;
  size_t page_size_ = 1000;
  std::string token_;
  TestServer server_;  // the first to go: its handler uses the rest
};

}  // namespace hayate::cloud
