#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/keys.h"
#include "hayate/job/store.h"
#include "hayate/source/source.h"

namespace hayate::job {

/// Content checksums of objects, in their order. May start a worker: called only where a file's
/// times differ from what is recorded and its size does not.
using Checksums =
    std::function<Result<std::vector<std::string>>(const std::vector<source::Object>&)>;

/// The files of a source as its key sees them: a file whose stat is recorded in a stored frame of
/// that source, or whose content is, keeps the digest that it has there. Of a frame whose record
/// cannot be read there is a warning only.
Result<std::vector<FileRecord>> FindFiles(const Node& source, const std::string& job_dir,
                                          const Store& store, const Checksums& checksums,
                                          std::vector<std::string>* warnings);

/// Fault::kInput if a file is no longer as `files` saw it: what was read may be of two versions.
Status CheckUnchanged(const std::vector<FileRecord>& files);

/// What the system's clock says, as files are stamped.
int64_t NowNs();

/// Files that changed less than a clock tick before `listed_ns`, when their listing began, lose
/// their recorded mtime, so that the next plan compares their content: a later change could have
/// left the same times.
void ForgetRacyTimes(int64_t listed_ns, std::vector<FileRecord>* files);

}  // namespace hayate::job
