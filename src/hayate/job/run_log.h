#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hayate/base/file.h"
#include "hayate/base/status.h"
#include "hayate/worker/worker_pool.h"

namespace hayate::job {

/// `runs/<id>/log`: a line for each line that a worker wrote and for what the run itself says, with
/// time of day, stage and partition. Lines that cannot be written (disk full) are dropped: a log
/// must not end a run.
class RunLog {
 public:
  static Result<std::unique_ptr<RunLog>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  void Add(const worker::LogLine& line);
  void Say(std::string_view text);

 private:
  RunLog() = default;
  void Write(const std::string& who, std::string_view text);
  std::string path_;
  FileDescriptor fd_;
};

}  // namespace hayate::job
