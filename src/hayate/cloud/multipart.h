#pragma once

#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/cloud/http_client.h"

namespace hayate::cloud {

/// Several requests in the body of one: multipart/mixed (RFC 2046) of application/http, as batches
/// of Google's JSON APIs are written.
struct Multipart {
  std::string content_type;
  std::string body;
};

/// `requests`: each from its request line to the blank line.
Multipart WriteMultipart(const std::vector<std::string>& requests);

/// The answers to `count` requests, in their order: by Content-ID where the parts have one, else as
/// they come. Fault::kStorage, about `name`, if they are not all there.
Result<std::vector<HttpResponse>> ReadMultipart(const std::string& content_type,
                                                const std::string& body, size_t count,
                                                const std::string& name);

}  // namespace hayate::cloud
