#include "hayate/job/discard.h"

#include <set>

#include "hayate/base/file.h"
#include "hayate/frame/writer.h"
#include "hayate/job/keys.h"

namespace hayate::job {
namespace {

size_t At(int64_t index) { return static_cast<size_t>(index); }

// Names of the copies by which other nodes read output `output` of a node in partitions.
std::set<std::string> CopyNames(const Description& description, const Node& node, int64_t output) {
  std::set<std::string> names;
  for (const Node& reader : description.nodes) {
    for (const Input& input : reader.inputs) {
      if (input.is_value() || input.node != node.name || input.output != output) continue;
      if (!reader.by.empty() && reader.Splits(input.param)) {
        names.insert(ShuffledName(node.FrameName(output), reader.by));
      }
    }
  }
  return names;
}

// A finished one says what it was made from; the others go with the name.
bool IsOfAnother(const StoredFrame& copy, const Json& input) {
  if (!copy.committed) return false;
  const auto manifest = frame::ReadManifest(copy.dir);
  return manifest.ok() && manifest->key_parts.value("input", Json()) != input;
}

Status DiscardCopies(const Description& description, const Node& node, const std::string& key,
                     const Store& store) {
  ARROW_ASSIGN_OR_RAISE(const auto frames, store.Frames());
  for (int64_t output = 0; output < node.num_outputs(); ++output) {
    const auto names = CopyNames(description, node, output);
    const Json input = ShuffleKeyParts(key, output, {}, 0, false)["input"];
    for (const StoredFrame& stored : frames) {
      if (!names.contains(stored.name) || IsOfAnother(stored, input)) continue;
      ARROW_RETURN_NOT_OK(frame::ClearFrame(stored.dir));
    }
  }
  return Status::OK();
}

}  // namespace

Status DiscardResults(const Description& description, const Graph& graph, const Store& store,
                      Plan* plan) {
  const auto& order = graph.order();
  for (auto index = order.rbegin(); index != order.rend(); ++index) {
    const Node& node = description.nodes[At(*index)];
    PlannedNode& planned = plan->nodes[At(*index)];
    if (planned.state != PlannedNode::State::kRun || !planned.discards()) continue;
    for (const Output& output : description.outputs) {
      if (output.node != node.name) continue;
      ARROW_RETURN_NOT_OK(RemoveTree(store.OutputNote(output.path)));
    }
    ARROW_RETURN_NOT_OK(DiscardCopies(description, node, planned.key, store));
    for (size_t i = 0; i < planned.dirs.size(); ++i) {
      ARROW_RETURN_NOT_OK(frame::ClearFrame(planned.dirs[i]));
      planned.manifests[i].reset();
    }
  }
  return Status::OK();
}

}  // namespace hayate::job
