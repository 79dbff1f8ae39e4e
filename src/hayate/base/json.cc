#include "hayate/base/json.h"

namespace hayate {

Result<Json> ParseJson(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return Fail(Fault::kInput, std::string("not valid JSON: ") + error.what(),
                {.object = name, .byte = static_cast<int64_t>(error.byte)});
  } catch (const Json::exception& error) {
    // A number that no double can hold.
    return Fail(Fault::kInput, std::string("not valid JSON: ") + error.what(), {.object = name});
  }
}

std::string ToCanonicalText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hayate
