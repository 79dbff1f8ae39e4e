#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hayate/base/status.h"

namespace hayate::output {

/// Encodes pieces 0…count-1 on `threads` threads and writes them in order, one at a time. At most
/// two pieces a thread are encoded and not yet written, so memory does not grow with the count. The
/// first error ends everything; every thread has ended when this returns.
Status EncodeInOrder(int64_t count, int threads,
                     const std::function<Result<std::string>(int64_t)>& encode,
                     const std::function<Status(const std::string&)>& write);

}  // namespace hayate::output
