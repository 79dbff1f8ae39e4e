#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "hayate/cloud/multipart.h"
#include "hayate/cloud/retry.h"
#include "hayate/cloud/storage.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// The content type, a line end, the body.
void FuzzMultipart(const std::string& text, size_t count) {
  const size_t line = std::min(text.find('\n'), text.size());
  const std::string body = line < text.size() ? text.substr(line + 1) : "";
  const auto answers =
      hayate::cloud::ReadMultipart(text.substr(0, line), body, count, "gs://bucket/name");
  if (!answers.ok()) return;
  Require(answers->size() == count);
  for (const auto& answer : *answers) {
    hayate::cloud::Judge(answer);
    hayate::cloud::Describe(answer);
  }
}

void FuzzAnswer(const std::string& text, int status) {
  constexpr size_t kMostBytes = 1200;
  constexpr auto kLongestWait = hayate::cloud::RetryPolicy().longest_wait;
  for (const hayate::cloud::HttpResponse& response :
       {hayate::cloud::HttpResponse{.status = status, .body = text},
        hayate::cloud::HttpResponse{
            .status = status, .headers = {{"retry-after", text}}, .error = text}}) {
    hayate::cloud::Judge(response);
    const auto wait = hayate::cloud::WaitAfter({}, 1, response);
    Require(wait.count() >= 0 && wait <= kLongestWait);
    const std::string line = hayate::cloud::Describe(response);
    Require(line.size() <= kMostBytes);
    for (const unsigned char c : line) Require(c >= ' ' && c != 0x7F);
    // Throws where it is no UTF-8.
    Require(hayate::Json(line).dump().size() >= line.size());
  }
}

void FuzzListing(const std::string& text) {
  const auto page = hayate::cloud::ParseListing(text, "bucket", "gs://bucket/prefix");
  if (!page.ok()) {
    Require(hayate::FaultOf(page.status()) == hayate::Fault::kStorage);
    return;
  }
  for (const hayate::source::Object& object : page->objects) {
    Require(object.size_bytes >= 0 && object.generation > 0);
    const auto name = hayate::cloud::ParseUri(object.uri);
    Require(name.ok() && name->bucket == "bucket" && !name->name.empty());
  }
}

}  // namespace

/// What comes from outside of gs://. The first byte chooses what it is taken for, the second is the
/// status of an answer or the number of parts that are asked for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kFirstStatus = 100;
  constexpr int kStatusStep = 2;
  constexpr size_t kMostParts = 8;
  if (size < 2) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  switch (data[0] % 3) {
    case 0:
      FuzzMultipart(text, data[1] % kMostParts);
      break;
    case 1:
      FuzzAnswer(text, kFirstStatus + kStatusStep * data[1] + data[1] % kStatusStep);
      break;
    default:
      FuzzListing(text);
      break;
  }
  return 0;
}
