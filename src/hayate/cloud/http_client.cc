#include "hayate/cloud/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace hayate::cloud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kReceiveBytes = 256 * 1024;
constexpr long kKeptConnections = 128;
constexpr std::chrono::milliseconds kLongestPoll{1000};
constexpr std::chrono::milliseconds kLeastRound{1};
// Of an answer that is not asked for as a body: an error, a listing, metadata.
constexpr size_t kMostTextBytes = 64 << 20;
constexpr int kOk = 200;
constexpr int kPartialContent = 206;
constexpr int kLastOfSuccess = 299;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

using Easy = std::unique_ptr<CURL, FreeEasy>;

struct Transfer {
  void AddHeader(const std::string& header) {
    // A null answer leaves the list as it was: then a header is missing and the answer tells.
    curl_slist* const longer = curl_slist_append(headers.get(), header.c_str());
    if (longer == nullptr) return;
    headers.release();  // NOLINT(bugprone-unused-return-value): it is in `longer`
    headers.reset(longer);
  }

  HttpRequest request;
  HttpClient::Done done;
  Clock::time_point due;
  HttpResponse response;
  Easy easy;
  std::unique_ptr<curl_slist, FreeList> headers;
  char error[CURL_ERROR_SIZE] = "";
  bool too_long = false;
};

std::string_view Trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

int StatusOf(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto* const transfer = static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    transfer->response.headers.clear();  // those of an answer before the last one
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(Trimmed(line.substr(0, colon)));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    transfer->response.headers[name] = Trimmed(line.substr(colon + 1));
  }
  return line.size();
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* const transfer = static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  HttpResponse& response = transfer->response;
  if (response.status == 0) response.status = StatusOf(transfer->easy.get());
  if (transfer->request.on_body && (response.status == kOk || response.status == kPartialContent)) {
    const auto* const start = reinterpret_cast<const uint8_t*>(data);
    return transfer->request.on_body(response, {start, bytes}) ? bytes : 0;
  }
  std::string& body = response.body;
  if (body.size() + bytes > kMostTextBytes) {
    transfer->too_long = true;
    return 0;
  }
  body.append(data, bytes);
  return bytes;
}

void Erase(const std::string& secret, std::string* text) {
  size_t at = 0;
  while ((at = text->find(secret, at)) != std::string::npos) text->erase(at, secret.size());
}

// Some servers and proxies repeat what they were sent where they refuse it, and what they say goes
// into errors.
void EraseCredentials(const HttpRequest& request, HttpResponse* response) {
  // The scheme before it ("Bearer") is no secret.
  const std::string secret = request.authorization.substr(request.authorization.rfind(' ') + 1);
  if (secret.empty()) return;
  Erase(secret, &response->body);
  Erase(secret, &response->error);
  for (auto& [name, text] : response->headers) Erase(secret, &text);
}

Status InitializeOnce() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code == CURLE_OK) return Status::OK();
  return Fail(Fault::kInternal, std::string("libcurl: ") + curl_easy_strerror(code));
}

}  // namespace

class HttpClient::Engine {
 public:
  explicit Engine(const HttpOptions& options) : options_(options), multi_(curl_multi_init()) {}

  Status Run() {
    if (multi_ == nullptr) return FailErrno(ENOMEM, "no memory for network transfers");
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kKeptConnections);
    try {
      thread_ = std::thread([this] { Work(); });
    } catch (const std::system_error& error) {
      return FailErrno(error.code().value(), "cannot start the thread of network transfers");
    }
    return Status::OK();
  }

  ~Engine() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }

  void Add(std::unique_ptr<Transfer> transfer) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      waiting_.push_back(std::move(transfer));
    }
    curl_multi_wakeup(multi_.get());
  }

 private:
  void Work() {
    while (true) {
      const int wait_ms = BeginDue();
      if (wait_ms < 0) break;
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      FinishDone();
      curl_multi_poll(multi_.get(), nullptr, 0, wait_ms, nullptr);
      // What comes within a millisecond is taken together: each round costs a look at all
      // transfers.
      const auto since = Clock::now() - last_;
      if (running > 0 && since < kLeastRound) std::this_thread::sleep_for(kLeastRound - since);
      last_ = Clock::now();
    }
    for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_.get(), easy);
    auto running = std::move(running_);
    for (auto& [easy, transfer] : running) Cancel(std::move(transfer));
    // Those who are told may begin others: these are told in turn, not each inside of the one
    // before.
    while (true) {
      auto waiting = TakeWaiting(Clock::time_point::max());
      if (waiting.empty()) return;
      for (auto& transfer : waiting) Cancel(std::move(transfer));
    }
  }

  static void Cancel(std::unique_ptr<Transfer> transfer) {
    transfer->done({.error = "the transfer was cancelled"});
  }

  std::vector<std::unique_ptr<Transfer>> TakeWaiting(Clock::time_point until) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto later = std::stable_partition(waiting_.begin(), waiting_.end(),
                                             [&](const auto& one) { return one->due <= until; });
    std::vector<std::unique_ptr<Transfer>> taken(std::make_move_iterator(waiting_.begin()),
                                                 std::make_move_iterator(later));
    waiting_.erase(waiting_.begin(), later);
    return taken;
  }

  // Begins what is due; how long the next one has time, in milliseconds; -1 at the end.
  int BeginDue() {
    for (auto& transfer : TakeWaiting(Clock::now())) Begin(std::move(transfer));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return -1;
    auto wait = kLongestPoll;
    for (const auto& transfer : waiting_) {
      const auto left = transfer->due - Clock::now();
      wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(left));
    }
    return static_cast<int>(std::max<int64_t>(0, wait.count()));
  }

  void Begin(std::unique_ptr<Transfer> transfer) {
    if (idle_.empty()) {
      transfer->easy.reset(curl_easy_init());
    } else {
      transfer->easy = std::move(idle_.back());
      idle_.pop_back();
    }
    CURL* const easy = transfer->easy.get();
    if (easy == nullptr) {
      transfer->done({.error = "no memory for a network transfer"});
      return;
    }
    const HttpRequest& request = transfer->request;
    for (const std::string& header : request.headers) transfer->AddHeader(header);
    if (!request.authorization.empty()) {
      transfer->AddHeader("Authorization: " + request.authorization);
    }
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    // Names of objects may be ".." and the like.
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.method == "POST" || !request.body.empty()) {
      // On a connection that was kept and is found to be closed, libcurl sends a request again on
      // its own; one that changes something must not go twice without the caller's knowing.
      curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers.get());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "hayate");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBytes);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT,
                     static_cast<long>(options_.connect_timeout.count()));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(options_.stall_timeout.count()));
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    const CURLMcode code = curl_multi_add_handle(multi_.get(), easy);
    if (code != CURLM_OK) {
      transfer->done({.error = curl_multi_strerror(code)});
      return;
    }
    running_.emplace(easy, std::move(transfer));
  }

  void FinishDone() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      CURL* const easy = message->easy_handle;
      const auto found = running_.find(easy);
      auto transfer = std::move(found->second);
      running_.erase(found);
      curl_multi_remove_handle(multi_.get(), easy);
      HttpResponse& response = transfer->response;
      response.status = StatusOf(easy);
      if (code != CURLE_OK) {
        response.error = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
      }
      if (transfer->too_long) {
        response.error =
            "the answer is longer than " + std::to_string(kMostTextBytes >> 20) + " MiB";
      }
      if (response.status < kOk || response.status > kLastOfSuccess || code != CURLE_OK) {
        EraseCredentials(transfer->request, &response);
      }
      curl_easy_reset(easy);
      idle_.push_back(std::move(transfer->easy));
      transfer->done(std::move(response));
    }
  }

  const HttpOptions options_;
  const std::unique_ptr<CURLM, FreeMulti> multi_;
  std::thread thread_;
  Clock::time_point last_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> waiting_;
  bool stopped_ = false;

  // Of the engine's thread alone. Handles are freed before the multi handle that they are part of.
  std::vector<Easy> idle_;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running_;
};

HttpClient::HttpClient(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::Make(const HttpOptions& options) {
  ARROW_RETURN_NOT_OK(InitializeOnce());
  auto engine = std::make_unique<Engine>(options);
  ARROW_RETURN_NOT_OK(engine->Run());
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(engine)));
}

void HttpClient::Start(HttpRequest request, Done done, std::chrono::milliseconds delay) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  transfer->due = Clock::now() + delay;
  engine_->Add(std::move(transfer));
}

}  // namespace hayate::cloud
