#include "hayate/cloud/retry.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <random>
#include <set>
#include <string_view>

#include "hayate/base/json.h"

namespace hayate::cloud {
namespace {

constexpr size_t kMostMessageBytes = 300;

struct ErrorBody {
  std::string message;
  std::string reason;
};

// {"error": {"message": …, "errors": [{"reason": …}]}}, as the JSON API of Cloud Storage writes it.
ErrorBody ParseBody(const std::string& body) {
  ErrorBody parsed;
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return parsed;
  const Json& error = json["error"];
  const auto text = [](const Json& object, const char* name) -> std::string {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  parsed.message = text(error, "message");
  const auto errors = error.find("errors");
  if (errors != error.end() && errors->is_array() && !errors->empty() && (*errors)[0].is_object()) {
    parsed.reason = text((*errors)[0], "reason");
  }
  return parsed;
}

std::string_view Phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 412:
      return "Precondition Failed";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

// For a line of an error or a log: valid UTF-8 of bounded length, without control characters.
std::string OneLine(const std::string& text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t size = std::min(text.size(), kMostMessageBytes);
  constexpr int kLongestTail = 3;
  for (int i = 0; i < kLongestTail && size > 0 && size < text.size(); ++i) {
    if ((byte(size) & 0xC0) != 0x80) break;  // a character begins here, so none is cut
    --size;
  }
  // Writing it as JSON replaces what is no UTF-8.
  const Json valid = Json::parse(ToCanonicalText(text.substr(0, size)));
  std::string line = valid.get<std::string>();
  for (size_t i = 0; i < line.size(); ++i) {
    const auto at = static_cast<unsigned char>(line[i]);
    if (at < ' ' || at == 0x7F) line[i] = ' ';
    // U+0080 to U+009F: terminals obey them, too.
    const bool is_c1 = at == 0xC2 && static_cast<unsigned char>(line[i + 1]) < 0xA0;
    if (is_c1) line.replace(i, 2, " ");
  }
  return line;
}

double EvenlyBelow(double bound) {
  static std::mutex mutex;
  static std::mt19937_64 generator{std::random_device{}()};
  const std::lock_guard<std::mutex> lock(mutex);
  return std::uniform_real_distribution<double>(0, bound)(generator);
}

}  // namespace

Verdict Judge(const HttpResponse& response) {
  if (!response.error.empty() || response.status == 0) return Verdict::kAgain;
  if (response.status >= 200 && response.status < 300) return Verdict::kDone;
  if (response.status == 401) return Verdict::kUnauthorized;
  static const std::set<int> passing = {408, 429, 500, 502, 503, 504};
  if (passing.contains(response.status)) return Verdict::kAgain;
  static const std::set<std::string, std::less<>> passing_reasons = {
      "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"};
  if (response.status == 403 && passing_reasons.contains(ParseBody(response.body).reason)) {
    return Verdict::kAgain;
  }
  return Verdict::kRefused;
}

std::chrono::milliseconds WaitAfter(const RetryPolicy& policy, int attempts,
                                    const HttpResponse& response) {
  constexpr int kMostDoublings = 20;
  const auto longest = static_cast<double>(policy.longest_wait.count());
  const double mean = static_cast<double>(policy.first_wait.count()) *
                      static_cast<double>(1 << std::clamp(attempts - 1, 0, kMostDoublings));
  std::chrono::milliseconds wait(static_cast<int64_t>(EvenlyBelow(std::min(2 * mean, longest))));
  if (const auto found = response.headers.find("retry-after"); found != response.headers.end()) {
    const std::string& text = found->second;
    int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc() && end == text.data() + text.size() && seconds >= 0) {
      const std::chrono::milliseconds asked = seconds > policy.longest_wait.count()
                                                  ? policy.longest_wait
                                                  : std::chrono::seconds(seconds);
      wait = std::min(std::max(wait, asked), policy.longest_wait);
    }
  }
  return wait;
}

std::string Describe(const HttpResponse& response) {
  if (!response.error.empty()) return OneLine(response.error);
  if (response.status == 0) return "no answer";
  std::string text = std::to_string(response.status);
  if (const auto phrase = Phrase(response.status); !phrase.empty()) {
    text.append(" ").append(phrase);
  }
  const std::string message = OneLine(ParseBody(response.body).message);
  if (!message.empty()) text.append(": ").append(message);
  return text;
}

}  // namespace hayate::cloud
