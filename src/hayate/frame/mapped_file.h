#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>

#include "hayate/base/status.h"

namespace hayate::frame {

/// A whole file, mapped read-only. No descriptor stays open (Arrow's own keeps one, and a frame may
/// have more parts than a process may have files); the mapping lasts as long as any slice of it.
Result<std::shared_ptr<arrow::Buffer>> MapFile(const std::string& path);
/// The same of an open file; `name` is what errors call it. The descriptor stays the caller's.
Result<std::shared_ptr<arrow::Buffer>> MapDescriptor(int fd, const std::string& name);

}  // namespace hayate::frame
