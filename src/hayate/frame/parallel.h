#pragma once

#include <cstdint>
#include <functional>

#include "hayate/base/status.h"

namespace hayate::frame {

/// Calls `body` for 0…count-1 from up to `threads` threads (the caller is one), each index once,
/// the lowest first. After a failure no new index is begun; the error of the lowest index that
/// failed is returned, when all calls have ended.
Status ParallelFor(int64_t count, int threads, const std::function<Status(int64_t)>& body);

}  // namespace hayate::frame
