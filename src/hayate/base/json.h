#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "hayate/base/status.h"

namespace hayate {

using Json = nlohmann::json;

/// Parses one JSON document. Never throws; `name` is what an error calls the text.
Result<Json> ParseJson(std::string_view text, const std::string& name);

/// Canonical text: sorted keys, no blanks, UTF-8 (invalid bytes become U+FFFD, so it cannot throw).
/// Equal documents give equal text, so it may be hashed.
std::string ToCanonicalText(const Json& json);

/// The member `key` of an object, or an error that names `key` and `name` when it is absent or has
/// another type.
template <typename T>
Result<T> Member(const Json& object, const char* key, const std::string& name) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) {
    return Fail(Fault::kInternal, "member \"" + std::string(key) + "\" is missing",
                {.object = name});
  }
  try {
    return found->template get<T>();
  } catch (const nlohmann::json::exception& error) {
    return Fail(Fault::kInternal, "member \"" + std::string(key) + "\": " + error.what(),
                {.object = name});
  }
}

}  // namespace hayate
