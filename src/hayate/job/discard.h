#pragma once

#include "hayate/base/status.h"
#include "hayate/job/description.h"
#include "hayate/job/graph.h"
#include "hayate/job/plan.h"
#include "hayate/job/store.h"

namespace hayate::job {

/// Before the first task: removes what lies in the directories of nodes that run although something
/// does (`--from`, `--fresh`, a damaged result), with their split copies and what is remembered of
/// files written from them. Readers go first: an interruption at any point leaves work to do, and
/// no result beside an input that is newer.
Status DiscardResults(const Description& description, const Graph& graph, const Store& store,
                      Plan* plan);

}  // namespace hayate::job
