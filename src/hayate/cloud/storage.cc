#include "hayate/cloud/storage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "hayate/cloud/crc32c.h"
#include "hayate/cloud/multipart.h"

namespace hayate::cloud {
namespace {

constexpr std::string_view kScheme = "gs://";
constexpr size_t kMostInBatch = 100;  // what the service takes

// Everything but what RFC 3986 calls unreserved: right for a segment of a path and for a value.
std::string Escape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped += '%';
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    }
  }
  return escaped;
}

std::string ObjectPath(const ObjectName& name) {
  return "/storage/v1/b/" + Escape(name.bucket) + "/o/" + Escape(name.name);
}

Status OddAnswer(const std::string& why, const std::string& name) {
  return Fail(Fault::kStorage, "the answer of Cloud Storage " + why, {.object = name},
              "Run again; if it stays so, check what is between here and Cloud Storage.");
}

Result<Json> ParseAnswer(const std::string& text, const std::string& name) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return OddAnswer("is no JSON object", name);
  return json;
}

Result<std::string> Text(const Json& json, const char* key, const std::string& name) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  if (found != json.end() && found->is_string()) return found->get<std::string>();
  return OddAnswer("has no text \"" + std::string(key) + "\" in it", name);
}

// Integers of 64 bits are texts in this API.
Result<int64_t> IntegerText(const Json& json, const char* key, int64_t least,
                            const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto text, Text(json, key, name));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least) return value;
  return OddAnswer("has a \"" + std::string(key) + "\" in it that is none", name);
}

// Four bytes, the first one the highest, as base64: eight characters.
std::optional<uint32_t> ParseCrc32c(std::string_view text) {
  constexpr size_t kDigits = 6;
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() != 8 || !text.ends_with("==")) return std::nullopt;
  uint64_t bits = 0;
  for (size_t i = 0; i < kDigits; ++i) {
    const size_t digit = kAlphabet.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | digit;
  }
  return static_cast<uint32_t>(bits >> 4);
}

// RFC 3339 in UTC to the second, as nanoseconds; 0 if it is no such text.
int64_t ParseTime(const std::string& text) {
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  std::tm time{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return 0;
  const int64_t seconds = timegm(&time);
  constexpr int64_t kMostSeconds = std::numeric_limits<int64_t>::max() / kNanosecondsPerSecond;
  return std::abs(seconds) > kMostSeconds ? 0 : seconds * kNanosecondsPerSecond;
}

Result<source::Object> ObjectOf(const Json& item, const std::string& bucket,
                                const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto own_name, Text(item, "name", name));
  if (own_name.empty()) return OddAnswer("has an object without a name in it", name);
  source::Object object;
  object.uri = std::string(kScheme) + bucket + "/" + own_name;
  ARROW_ASSIGN_OR_RAISE(object.size_bytes, IntegerText(item, "size", 0, name));
  ARROW_ASSIGN_OR_RAISE(object.generation, IntegerText(item, "generation", 1, name));
  if (const auto updated = item.find("updated"); updated != item.end() && updated->is_string()) {
    object.mtime_ns = ParseTime(updated->get<std::string>());
  }
  if (const auto crc = item.find("crc32c"); crc != item.end() && crc->is_string()) {
    object.crc32c = ParseCrc32c(crc->get<std::string>());
  }
  return object;
}

// Of one object: without a name the same paths mean the bucket's listing.
Result<ObjectName> ParseObjectUri(const std::string& uri) {
  ARROW_ASSIGN_OR_RAISE(ObjectName name, ParseUri(uri));
  if (!name.name.empty()) return name;
  return Fail(Fault::kUsage, "\"" + uri + "\" names no object", {},
              "Write it as gs://bucket/name.");
}

}  // namespace

Status Interrupted(const std::string& uri) {
  return Fail(Fault::kInterrupted, "the transfer was interrupted", {.object = uri});
}

Result<ObjectName> ParseUri(std::string_view uri) {
  const auto refuse = [&](const std::string& why) {
    return Fail(Fault::kUsage, "\"" + std::string(uri) + "\" " + why, {},
                "Write it as gs://bucket/name.");
  };
  if (!uri.starts_with(kScheme)) return refuse("is no URI of Cloud Storage");
  const std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  ObjectName name{.bucket = std::string(rest.substr(0, slash))};
  if (slash < rest.size()) name.name = rest.substr(slash + 1);
  if (name.bucket.empty()) return refuse("names no bucket");
  return name;
}

Status Refusal(const HttpResponse& response, const std::string& uri) {
  const std::string said = Describe(response);
  switch (response.status) {
    case 401:
      return Fail(Fault::kInput, "Cloud Storage does not take the credentials (" + said + ")",
                  {.object = uri}, "Log in again, or give the job another service account.");
    case 403:
      return Fail(Fault::kInput, "Cloud Storage refuses access (" + said + ")", {.object = uri},
                  "Give the job's account storage.objects.get, list, create and delete on the "
                  "bucket (the role Storage Object Admin has them).");
    case 404:
      return Fail(Fault::kInput, "there is no such bucket or object, or no longer (" + said + ")",
                  {.object = uri}, "Check the name, and whether something else deletes objects.");
    case 412:
      return Fail(Fault::kBusy, "the object is there already, or has changed (" + said + ")",
                  {.object = uri}, "Look for another job that writes under the same name.");
    default:
      return Fail(Fault::kStorage, "Cloud Storage refuses the request (" + said + ")",
                  {.object = uri});
  }
}

Status GivenUp(const HttpResponse& response, const std::string& uri, int attempts) {
  return Fail(Fault::kStorage,
              "Cloud Storage cannot be reached or stays in trouble (" + Describe(response) +
                  "), after " + std::to_string(attempts) + " attempts",
              {.object = uri}, "Check the network and the service's status, then run again.");
}

CloudStorage::CloudStorage(StorageOptions options) : options_(std::move(options)) {}
CloudStorage::~CloudStorage() = default;

Result<std::unique_ptr<CloudStorage>> CloudStorage::Make(StorageOptions options) {
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  std::unique_ptr<CloudStorage> storage(new CloudStorage(std::move(options)));
  ARROW_ASSIGN_OR_RAISE(storage->http_, HttpClient::Make(storage->options_.http));
  return storage;
}

void CloudStorage::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  ++stops_;
  changed_.notify_all();
}

void CloudStorage::WaitOrStop(std::chrono::milliseconds wait, int64_t stops) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return stops_ != stops; });
}

std::optional<HttpResponse> CloudStorage::PerformOrStop(HttpRequest request, int64_t stops) {
  // Shared: after Stop the transfer may still be under way.
  const auto answer = std::make_shared<std::optional<HttpResponse>>();
  http_->Start(std::move(request), [this, answer](HttpResponse response) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *answer = std::move(response);
    changed_.notify_all();
  });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return answer->has_value() || stops_ != stops; });
  if (stops_ != stops) return std::nullopt;
  return std::move(*answer);
}

Status CloudStorage::Authorize(HttpRequest* request, const std::string& refused) {
  if (!options_.token) return Status::OK();
  const auto ask = [&](bool renew) -> Status {
    ARROW_ASSIGN_OR_RAISE(const std::string token, options_.token(renew));
    if (token.find_first_of("\r\n") != std::string::npos) {
      return Fail(Fault::kUsage, "the access token has a line end in it", {},
                  "Check where the credentials come from.");
    }
    request->authorization = "Bearer " + token;
    return Status::OK();
  };
  ARROW_RETURN_NOT_OK(ask(false));
  if (refused.empty() || request->authorization != refused) return Status::OK();
  // A token that ends is refused to many transfers at once: the first of them renews it for all.
  const std::lock_guard<std::mutex> lock(renewing_);
  ARROW_RETURN_NOT_OK(ask(false));
  return request->authorization == refused ? ask(true) : Status::OK();
}

void CloudStorage::NoteRetry(const std::string& what, const HttpResponse& response,
                             std::chrono::milliseconds wait, int attempt) {
  ++retries_;
  if (!options_.on_retry) return;
  constexpr int64_t kTenth = 100;
  const int64_t tenths = (wait.count() + kTenth / 2) / kTenth;
  options_.on_retry(what + ": " + Describe(response) + "; again in " + std::to_string(tenths / 10) +
                    "." + std::to_string(tenths % 10) + " s (attempt " +
                    std::to_string(attempt + 1) + " of " + std::to_string(options_.retry.attempts) +
                    ")");
}

Result<HttpResponse> CloudStorage::Call(HttpRequest request, const std::string& uri,
                                        Attempts* attempts) {
  Attempts own;
  if (attempts == nullptr) attempts = &own;
  bool renewed = false;
  const int64_t stops = stops_;
  for (int attempt = 1;; ++attempt) {
    if (stopped_ || stops_ != stops) return Interrupted(uri);
    ARROW_RETURN_NOT_OK(Authorize(&request, attempts->refused));
    attempts->authorization = request.authorization;
    attempts->count = attempt;
    std::optional<HttpResponse> response = PerformOrStop(request, stops);
    if (!response) return Interrupted(uri);
    const Verdict verdict = Judge(*response);
    if (verdict == Verdict::kDone) return *std::move(response);
    if (verdict == Verdict::kUnauthorized && options_.token && !renewed) {
      renewed = true;
      attempts->refused = request.authorization;
      NoteRetry(uri, *response, {}, attempt);
      continue;
    }
    if (verdict != Verdict::kAgain) return Refusal(*response, uri);
    if (attempt >= options_.retry.attempts) return GivenUp(*response, uri, attempt);
    const auto wait = WaitAfter(options_.retry, attempt, *response);
    NoteRetry(uri, *response, wait, attempt);
    WaitOrStop(wait, stops);
  }
}

Result<ListingPage> ParseListing(const std::string& text, const std::string& bucket,
                                 const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const Json listing, ParseAnswer(text, name));
  ListingPage page;
  if (const auto items = listing.find("items"); items != listing.end()) {
    if (!items->is_array()) return OddAnswer("has no list of objects in it", name);
    for (const Json& item : *items) {
      ARROW_ASSIGN_OR_RAISE(source::Object object, ObjectOf(item, bucket, name));
      page.objects.push_back(std::move(object));
    }
  }
  if (listing.contains("nextPageToken")) {
    ARROW_ASSIGN_OR_RAISE(page.next, Text(listing, "nextPageToken", name));
  }
  return page;
}

Result<std::vector<source::Object>> CloudStorage::List(const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseUri(prefix));
  const std::string first_url = options_.endpoint + "/storage/v1/b/" + Escape(name.bucket) +
                                "/o?maxResults=1000&prefix=" + Escape(name.name) + "&fields=" +
                                Escape("nextPageToken,items(name,size,generation,crc32c,updated)");
  std::vector<source::Object> objects;
  std::set<std::string> pages;
  std::string url = first_url;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const HttpResponse response, Call({.url = std::move(url)}, prefix));
    ARROW_ASSIGN_OR_RAISE(ListingPage page, ParseListing(response.body, name.bucket, prefix));
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(objects));
    if (page.next.empty()) break;
    if (!pages.insert(page.next).second) return OddAnswer("repeats pages of the listing", prefix);
    url = first_url + "&pageToken=" + Escape(page.next);
  }
  std::sort(objects.begin(), objects.end(),
            [](const auto& a, const auto& b) { return a.uri < b.uri; });
  return objects;
}

Result<Json> CloudStorage::Bucket(const std::string& bucket) {
  const std::string uri = std::string(kScheme) + bucket;
  ARROW_ASSIGN_OR_RAISE(const HttpResponse response,
                        Call({.url = options_.endpoint + "/storage/v1/b/" + Escape(bucket)}, uri));
  return ParseAnswer(response.body, uri);
}

Result<std::vector<std::string>> CloudStorage::Permissions(const std::string& bucket,
                                                           const std::vector<std::string>& wanted) {
  const std::string uri = std::string(kScheme) + bucket;
  std::string url = options_.endpoint + "/storage/v1/b/" + Escape(bucket) + "/iam/testPermissions";
  char separator = '?';
  for (const std::string& permission : wanted) {
    url += separator + std::string("permissions=") + Escape(permission);
    separator = '&';
  }
  ARROW_ASSIGN_OR_RAISE(const HttpResponse response, Call({.url = std::move(url)}, uri));
  ARROW_ASSIGN_OR_RAISE(const Json json, ParseAnswer(response.body, uri));
  std::vector<std::string> granted;
  const auto permissions = json.find("permissions");
  if (permissions == json.end()) return granted;
  if (!permissions->is_array()) return OddAnswer("has no list of permissions in it", uri);
  for (const Json& permission : *permissions) {
    if (!permission.is_string()) return OddAnswer("has an odd permission in it", uri);
    granted.push_back(permission.get<std::string>());
  }
  return granted;
}

Result<HttpRequest> CloudStorage::PieceRequest(const source::Object& object, int64_t begin,
                                               int64_t end, const std::string& refused) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseObjectUri(object.uri));
  HttpRequest request;
  request.url = options_.endpoint + ObjectPath(name) + "?alt=media";
  if (object.generation != 0) request.url += "&generation=" + std::to_string(object.generation);
  // The stored bytes, whatever Content-Encoding the object has: else the service would inflate it,
  // and neither its length nor its checksum nor a range would hold.
  request.headers.emplace_back("Accept-Encoding: gzip");
  if (begin != 0 || end != object.size_bytes) {
    request.headers.push_back("Range: bytes=" + std::to_string(begin) + "-" +
                              std::to_string(end - 1));
  }
  ARROW_RETURN_NOT_OK(Authorize(&request, refused));
  return request;
}

Result<std::string> CloudStorage::Read(const std::string& uri) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseObjectUri(uri));
  HttpRequest request{.url = options_.endpoint + ObjectPath(name) + "?alt=media",
                      .headers = {"Accept-Encoding: gzip"}};
  ARROW_ASSIGN_OR_RAISE(HttpResponse response, Call(std::move(request), uri));
  return std::move(response.body);
}

Result<source::Object> CloudStorage::Write(const std::string& uri, const std::string& bytes,
                                           bool if_absent) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseObjectUri(uri));
  HttpRequest request{.method = "POST",
                      .url = options_.endpoint + "/upload/storage/v1/b/" + Escape(name.bucket) +
                             "/o?uploadType=media&name=" + Escape(name.name),
                      .headers = {"Content-Type: application/octet-stream", "Expect:"},
                      .body = bytes};
  if (if_absent) request.url += "&ifGenerationMatch=0";
  Attempts attempts;
  const auto response = Call(std::move(request), uri, &attempts);
  if (!response.ok() && FaultOf(response.status()) == Fault::kBusy && attempts.count > 1) {
    return FindWritten(uri, bytes, response.status());
  }
  ARROW_RETURN_NOT_OK(response.status());
  ARROW_ASSIGN_OR_RAISE(const Json json, ParseAnswer(response->body, uri));
  return ObjectOf(json, name.bucket, uri);
}

// The object, if it is one that an attempt has written whose answer was lost.
Result<source::Object> CloudStorage::FindWritten(const std::string& uri, const std::string& bytes,
                                                 const Status& otherwise) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseObjectUri(uri));
  ARROW_ASSIGN_OR_RAISE(const HttpResponse response,
                        Call({.url = options_.endpoint + ObjectPath(name)}, uri));
  ARROW_ASSIGN_OR_RAISE(const Json json, ParseAnswer(response.body, uri));
  ARROW_ASSIGN_OR_RAISE(source::Object object, ObjectOf(json, name.bucket, uri));
  const std::span<const uint8_t> ours(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (object.size_bytes != static_cast<int64_t>(bytes.size()) || object.crc32c != Crc32c(0, ours)) {
    return otherwise;
  }
  return object;
}

Result<int64_t> CloudStorage::Delete(const std::vector<source::Object>& objects) {
  for (const source::Object& object : objects) {
    ARROW_RETURN_NOT_OK(ParseObjectUri(object.uri).status());
  }
  std::vector<source::Object> left = objects;
  Deletion deletion;
  bool renewed = false;
  const int64_t stops = stops_;
  for (int attempt = 1; !left.empty(); ++attempt) {
    const std::string refused = std::exchange(deletion.refused, "");
    for (size_t i = 0; i < left.size(); i += kMostInBatch) {
      const auto first = left.begin() + static_cast<std::ptrdiff_t>(i);
      const auto last =
          left.begin() + static_cast<std::ptrdiff_t>(std::min(left.size(), i + kMostInBatch));
      const Status status = stops_ == stops ? DeleteBatch({first, last}, refused, &deletion)
                                            : Interrupted(left[i].uri);
      if (!status.ok() && FaultOf(status) == Fault::kInterrupted) return status;
      if (deletion.error.ok()) deletion.error = status;
    }
    left = std::exchange(deletion.again, {});
    if (left.empty()) break;
    const HttpResponse& trouble = deletion.trouble;
    if (!deletion.refused.empty() && renewed) return Refusal(deletion.refusal, left[0].uri);
    renewed = !deletion.refused.empty();
    if (attempt >= options_.retry.attempts) {
      return Fail(Fault::kStorage,
                  std::to_string(left.size()) + " objects could not be deleted (" +
                      Describe(trouble) + "), after " + std::to_string(attempt) + " attempts",
                  {.object = left[0].uri}, "Delete them by hand, or run again later.");
    }
    const auto wait = WaitAfter(options_.retry, attempt, trouble);
    NoteRetry(std::to_string(left.size()) + " objects to delete, " + left[0].uri + " first",
              trouble, wait, attempt);
    WaitOrStop(wait, stops);
  }
  ARROW_RETURN_NOT_OK(deletion.error);
  return deletion.deleted;
}

Status CloudStorage::DeleteBatch(const std::vector<source::Object>& objects,
                                 const std::string& refused, Deletion* deletion) {
  std::vector<std::string> requests;
  for (const source::Object& object : objects) {
    ARROW_ASSIGN_OR_RAISE(const ObjectName name, ParseObjectUri(object.uri));
    std::string request = "DELETE " + ObjectPath(name);
    if (object.generation != 0) request += "?generation=" + std::to_string(object.generation);
    requests.push_back(request + " HTTP/1.1\r\n\r\n");
  }
  const Multipart multipart = WriteMultipart(requests);
  HttpRequest request{.method = "POST",
                      .url = options_.endpoint + "/batch/storage/v1",
                      .headers = {"Content-Type: " + multipart.content_type, "Expect:"},
                      .body = multipart.body};
  Attempts attempts{.refused = refused};
  ARROW_ASSIGN_OR_RAISE(const HttpResponse response,
                        Call(std::move(request), objects[0].uri, &attempts));
  const auto content_type = response.headers.find("content-type");
  ARROW_ASSIGN_OR_RAISE(
      const auto answers,
      ReadMultipart(content_type == response.headers.end() ? "" : content_type->second,
                    response.body, objects.size(), objects[0].uri));
  for (size_t i = 0; i < objects.size(); ++i) {
    const HttpResponse& answer = answers[i];
    const Verdict verdict = Judge(answer);
    if (verdict == Verdict::kDone) {
      ++deletion->deleted;
    } else if (verdict == Verdict::kAgain ||
               (verdict == Verdict::kUnauthorized && options_.token)) {
      if (verdict == Verdict::kUnauthorized) {
        deletion->refused = attempts.authorization;
        deletion->refusal = answer;
      }
      deletion->again.push_back(objects[i]);
      deletion->trouble = answer;
    } else if (answer.status != 404 && deletion->error.ok()) {
      deletion->error = Refusal(answer, objects[i].uri);
    }
  }
  return Status::OK();
}

}  // namespace hayate::cloud
