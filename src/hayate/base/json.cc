#include "hayate/base/json.h"

namespace hayate {

Result<Json> ParseJson(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return Fail(Fault::kInput, std::string("not valid JSON: ") + error.what(),
                {.object = name, .byte = static_cast<int64_t>(error.byte)});
  }
}

std::string ToCanonicalText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hayate
