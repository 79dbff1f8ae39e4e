#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "hayate/base/status.h"
#include "hayate/cloud/http_client.h"

namespace hayate::cloud {

/// Bounds of trying again. Waits are drawn evenly from zero to twice the mean, and the mean
/// doubles: "full jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
/// 2015).
struct RetryPolicy {
  int attempts = 8;  ///< of one request, without a byte gained in between
  std::chrono::milliseconds first_wait{500};
  std::chrono::milliseconds longest_wait{32'000};
};

/// What an answer means for the request that it is for.
enum class Verdict {
  kDone,
  kAgain,         ///< the server or the network has trouble: try again
  kUnauthorized,  ///< the token is no longer good: again with a new one
  kRefused,       ///< the request will never work
};

/// By the status, the transfer's error, and for 403 by the reason in the body (quotas of rates
/// pass).
Verdict Judge(const HttpResponse& response);

/// How long to wait after so many attempts (1 or more); not less than what the answer's Retry-After
/// says, and not more than the policy's longest wait.
std::chrono::milliseconds WaitAfter(const RetryPolicy& policy, int attempts,
                                    const HttpResponse& response);

/// "503 Service Unavailable: backend error" or "connection reset by peer": one bounded line of
/// valid UTF-8 without control characters, never with anything of the request.
std::string Describe(const HttpResponse& response);

}  // namespace hayate::cloud
