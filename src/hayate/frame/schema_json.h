#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>

#include "hayate/base/json.h"
#include "hayate/base/status.h"

namespace hayate::frame {

/// {"columns": [[name, type], …] for people, "ipc": base64 of the encapsulated IPC schema message,
/// which is what counts}. Custom metadata (pandas' own) lies in the message. Any schema that an IPC
/// file can have can be put into words.
Json SchemaToJson(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> SchemaFromJson(const Json& json, const std::string& name);

}  // namespace hayate::frame
