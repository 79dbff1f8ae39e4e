#pragma once

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/worker/progress_sender.h"

namespace hayate::worker {

/// What a native task answers: the `result` and `warnings` of its `done`.
struct NativeResult {
  Json result = Json::object();
  Json warnings = Json::array();
};

/// Runs one native task (docs/formats/protocol.md: ingest, shuffle, commit, consolidate, output,
/// checksum, verify) in this process. An unknown kind is Fault::kInternal.
Result<NativeResult> RunNativeTask(const Json& task, ProgressSender* progress);

}  // namespace hayate::worker
