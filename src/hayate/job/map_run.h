#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hayate/base/json.h"
#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/scheduler.h"

namespace hayate::job {

/// What `hy.map` asks for (docs/formats/protocol.md, map).
struct MapRequest {
  std::string name = "map";
  Mode mode = Mode::kRows;
  bool over_items = false;  ///< `items` instead of a frame
  std::vector<std::string> by;
  int64_t rows = 0;
  std::string frame;
  std::vector<std::string> items;  ///< files
  Json function;
  Json as;
  int cores = 0;
  std::vector<std::string> preload;
  bool fork = true;
  std::string dir;
};

Result<MapRequest> MapRequestFromJson(const Json& json);

/// Runs it on `scheduler` until `request.dir` is a committed frame. `on_progress` gets tasks done
/// and in all. Returns the frame's summary.
Result<Json> RunMap(const MapRequest& request, Scheduler* scheduler,
                    const std::function<void(int64_t done, int64_t total)>& on_progress);

}  // namespace hayate::job
