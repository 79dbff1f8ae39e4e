#include "hayate/cloud/multipart.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace hayate::cloud {
namespace {

// Requests have no bodies of their own, so nothing in them can look like it.
constexpr std::string_view kBoundary = "hayate-batch";
constexpr std::string_view kIdMark = "hayate+";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The next line, without its end; takes it off.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = std::min(text->find('\n'), text->size());
  std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string BoundaryOf(const std::string& content_type) {
  const std::string lower = Lower(content_type);
  const size_t at = lower.find("boundary=");
  if (at == std::string::npos) return "";
  std::string value = content_type.substr(at + std::string_view("boundary=").size());
  if (value.starts_with('"')) {
    value.erase(0, 1);
    return value.substr(0, value.find('"'));
  }
  return value.substr(0, value.find_first_of("; "));
}

std::optional<size_t> IdOf(std::string_view line) {
  const size_t at = line.find(kIdMark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view digits = line.substr(at + kIdMark.size());
  size_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc() || end == digits.data()) return std::nullopt;
  return id;
}

struct Part {
  std::optional<size_t> id;
  HttpResponse response;
};

Part ParsePart(std::string_view text) {
  Part part;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (line.empty()) break;
    if (Lower(line).starts_with("content-id:")) part.id = IdOf(line);
  }
  const std::string_view status_line = TakeLine(&text);
  if (status_line.starts_with("HTTP/")) {
    const size_t space = std::min(status_line.find(' '), status_line.size() - 1);
    const std::string_view code = status_line.substr(space + 1);
    std::from_chars(code.data(), code.data() + code.size(), part.response.status);
  }
  if (part.response.status == 0) part.response.error = "a part of the answer has no status";
  while (!text.empty() && !TakeLine(&text).empty()) {
  }
  part.response.body = text;
  return part;
}

}  // namespace

Multipart WriteMultipart(const std::vector<std::string>& requests) {
  const std::string boundary(kBoundary);
  Multipart multipart{.content_type = "multipart/mixed; boundary=" + boundary};
  for (size_t i = 0; i < requests.size(); ++i) {
    multipart.body += "--" + boundary +
                      "\r\nContent-Type: application/http\r\n"
                      "Content-Transfer-Encoding: binary\r\nContent-ID: <" +
                      std::string(kIdMark) + std::to_string(i) + ">\r\n\r\n" + requests[i] + "\r\n";
  }
  multipart.body += "--" + boundary + "--\r\n";
  return multipart;
}

Result<std::vector<HttpResponse>> ReadMultipart(const std::string& content_type,
                                                const std::string& body, size_t count,
                                                const std::string& name) {
  const auto damaged = [&](const std::string& why) {
    return Fail(Fault::kStorage, "the answer to a batch of requests " + why, {.object = name},
                "Run again; if it stays so, check what is between here and Cloud Storage.");
  };
  const std::string boundary = BoundaryOf(content_type);
  if (boundary.empty()) return damaged("is not multipart/mixed");
  const std::string mark = "--" + boundary;
  std::vector<HttpResponse> answers(count);
  std::vector<bool> have(count, false);
  size_t next = 0;
  size_t at = body.find(mark);
  while (at != std::string::npos) {
    at += mark.size();
    if (body.compare(at, 2, "--") == 0) break;
    const size_t end = body.find("\n" + mark, at);
    std::string_view text(body);
    text = text.substr(at, end == std::string::npos ? end : end - at);
    TakeLine(&text);
    Part part = ParsePart(text);
    const size_t i = part.id.value_or(next);
    ++next;
    if (i >= count || have[i]) return damaged("has parts that were not asked for");
    have[i] = true;
    answers[i] = std::move(part.response);
    at = end == std::string::npos ? end : end + 1;
  }
  if (std::find(have.begin(), have.end(), false) != have.end()) return damaged("lacks parts");
  return answers;
}

}  // namespace hayate::cloud
