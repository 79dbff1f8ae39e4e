#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/cloud/http_client.h"
#include "hayate/cloud/retry.h"
#include "hayate/source/source.h"

namespace hayate::cloud {

struct StorageOptions {
  std::string endpoint = "https://storage.googleapis.com";
  /// An OAuth 2 access token that is good for some minutes, from any thread; `renew`: the last one
  /// was refused. Null: none is sent. The token goes into one header and nowhere else.
  std::function<Result<std::string>(bool renew)> token;
  /// Told of every request that is tried again, from any thread; must not wait.
  std::function<void(const std::string& what)> on_retry;
  RetryPolicy retry;
  HttpOptions http;
};

/// "gs://bucket/name"; the name may be empty.
struct ObjectName {
  std::string bucket;
  std::string name;
};
/// Fault::kUsage if it is no such URI.
Result<ObjectName> ParseUri(std::string_view uri);

/// Cloud Storage by its JSON API. All calls wait for the answer and try again what may pass (see
/// retry.h); they end early with Fault::kInterrupted after Stop. From any thread.
///
/// A bucket or an object that is missing or closed to us is Fault::kInput; a service that stays in
/// trouble is Fault::kStorage. Errors name the URI, and never a token.
class CloudStorage {
 public:
  static Result<std::unique_ptr<CloudStorage>> Make(StorageOptions options);
  /// No call may be under way.
  ~CloudStorage();

  /// Objects whose URI begins with `prefix`, by name, as of now (a listing is consistent: it has
  /// what was written before it).
  Result<std::vector<source::Object>> List(const std::string& prefix);

  /// The resource of a bucket: location, softDeletePolicy, retentionPolicy, … (Buckets: get).
  Result<Json> Bucket(const std::string& bucket);

  /// Those of `wanted` that the caller has on the bucket (Buckets: testIamPermissions).
  Result<std::vector<std::string>> Permissions(const std::string& bucket,
                                               const std::vector<std::string>& wanted);

  /// A small object's bytes.
  Result<std::string> Read(const std::string& uri);

  /// Writes a small object. `if_absent`: Fault::kBusy if there is one already. Where an answer was
  /// lost on the way, one of the same bytes is taken for what was written: so bytes of a lock have
  /// to be its owner's own.
  Result<source::Object> Write(const std::string& uri, const std::string& bytes, bool if_absent);

  /// Deletes those objects in these generations (0: whatever there is), a hundred a request. One
  /// that is gone already is no error. Returns how many were there. All are tried before an error
  /// is returned.
  Result<int64_t> Delete(const std::vector<source::Object>& objects);

  /// Makes every call end soon, those to come, too, until Resume.
  void Stop();
  void Resume() { stopped_ = false; }
  bool stopped() const { return stopped_; }

  // For Fetcher, which reads objects in pieces.

  /// The request for bytes [begin, end) of an object in its generation. `refused`: the
  /// HttpRequest::authorization that was not taken any more; "": none.
  Result<HttpRequest> PieceRequest(const source::Object& object, int64_t begin, int64_t end,
                                   const std::string& refused);
  HttpClient& http() { return *http_; }
  const RetryPolicy& retry() const { return options_.retry; }
  /// Tells that something is tried again after `wait`.
  void NoteRetry(const std::string& what, const HttpResponse& response,
                 std::chrono::milliseconds wait, int attempt);
  int64_t retries() const { return retries_; }

 private:
  // What one call needs to know of another, or to say of itself.
  struct Attempts {
    std::string refused;        // an authorization that is known to be of no use any more
    std::string authorization;  // the one that was sent last
    int count = 0;              // how often the request was sent
  };
  // What has become of objects that were to be deleted.
  struct Deletion {
    int64_t deleted = 0;
    std::vector<source::Object> again;
    HttpResponse trouble;  // why those are to be tried again
    std::string refused;   // an authorization that was refused
    HttpResponse refusal;  // by what
    Status error;          // the first that will not change
  };

  explicit CloudStorage(StorageOptions options);
  Status Authorize(HttpRequest* request, const std::string& refused);
  /// The answer, or none if Stop came first.
  std::optional<HttpResponse> PerformOrStop(HttpRequest request, int64_t stops);
  /// An answer that is kDone, or a Status; `uri` is what errors are about.
  Result<HttpResponse> Call(HttpRequest request, const std::string& uri,
                            Attempts* attempts = nullptr);
  Result<source::Object> FindWritten(const std::string& uri, const std::string& bytes,
                                     const Status& otherwise);
  Status DeleteBatch(const std::vector<source::Object>& objects, const std::string& refused,
                     Deletion* deletion);
  void WaitOrStop(std::chrono::milliseconds wait, int64_t stops);

  const StorageOptions options_;
  std::atomic<bool> stopped_ = false;
  // Counted, so that a call does not miss the one that ended it because Resume came right after.
  std::atomic<int64_t> stops_ = 0;
  std::atomic<int64_t> retries_ = 0;
  std::mutex renewing_;
  std::mutex mutex_;
  std::condition_variable changed_;   // an answer has come, or Stop
  std::unique_ptr<HttpClient> http_;  // the first to go: its callbacks use the rest
};

/// A page of a listing.
struct ListingPage {
  std::vector<source::Object> objects;
  std::string next;  ///< what asks for the page after it; "": there is none
};
/// Fault::kStorage, about `name`, if the text is none.
Result<ListingPage> ParseListing(const std::string& text, const std::string& bucket,
                                 const std::string& name);

/// What is said after Stop.
Status Interrupted(const std::string& uri);
/// What an answer that will not change means for the caller.
Status Refusal(const HttpResponse& response, const std::string& uri);
/// What is said when trying again has come to its bound.
Status GivenUp(const HttpResponse& response, const std::string& uri, int attempts);

}  // namespace hayate::cloud
