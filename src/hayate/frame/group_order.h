#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "hayate/base/status.h"
#include "hayate/frame/manifest.h"

namespace hayate::frame {

/// Rewrites parts that carry `groups` (each in order of first appearance) as parts in which the
/// groups of all of them stand in that order. The new files take part numbers after the old ones
/// and have no sidecars, so that they do not count before a manifest names them. Returns them,
/// numbered from 0. Memory: about one output batch, and an entry a group.
Result<std::vector<Part>> WriteInGroupOrder(const std::string& dir, const std::vector<Part>& parts,
                                            const std::shared_ptr<arrow::Schema>& schema);

}  // namespace hayate::frame
