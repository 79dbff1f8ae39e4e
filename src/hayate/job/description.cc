#include "hayate/job/description.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace hayate::job {
namespace {

constexpr const char* kName = "the job description";

// An optional member; absent and null give `fallback`.
template <typename T>
Result<T> MemberOr(const Json& object, const char* key, T fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  return Member<T>(object, key, kName);
}

Result<const Json*> Array(const Json& object, const char* key) {
  static const Json kEmpty = Json::array();
  if (!object.is_object()) {
    return Fail(Fault::kInternal, "an object was expected", {.object = kName});
  }
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return &kEmpty;
  if (!found->is_array()) {
    return Fail(Fault::kInternal, "member \"" + std::string(key) + "\" is not a list",
                {.object = kName});
  }
  return &*found;
}

Result<Mode> ModeFromName(const std::string& name) {
  for (const Mode mode : {Mode::kOnce, Mode::kPartition, Mode::kGroup, Mode::kRows}) {
    if (ModeName(mode) == name) return mode;
  }
  return Fail(Fault::kInternal, "\"" + name + "\" is no mode of a stage", {.object = kName});
}

Result<Input> InputFromJson(const Json& json) {
  Input input;
  ARROW_ASSIGN_OR_RAISE(input.param, Member<std::string>(json, "param", kName));
  ARROW_ASSIGN_OR_RAISE(input.node, MemberOr<std::string>(json, "node", ""));
  ARROW_ASSIGN_OR_RAISE(input.output, MemberOr<int64_t>(json, "output", 0));
  if (const auto as = json.find("as"); as != json.end()) input.as = *as;
  if (input.is_value()) {
    ARROW_ASSIGN_OR_RAISE(input.value, Member<Json>(json, "value", kName));
  }
  return input;
}

Status ReadSource(const Json& json, Node* node) {
  ARROW_ASSIGN_OR_RAISE(node->format, Member<std::string>(json, "format", kName));
  ARROW_ASSIGN_OR_RAISE(node->query, MemberOr<Json>(json, "query", Json()));
  if (node->is_query()) {
    ARROW_ASSIGN_OR_RAISE(node->key, Member<Json>(json, "key", kName));
    ARROW_ASSIGN_OR_RAISE(node->rerun, MemberOr<std::string>(json, "rerun", ""));
  } else {
    ARROW_ASSIGN_OR_RAISE(node->paths, Member<std::vector<std::string>>(json, "paths", kName));
  }
  ARROW_ASSIGN_OR_RAISE(node->options, MemberOr<Json>(json, "options", Json::object()));
  ARROW_ASSIGN_OR_RAISE(node->allow_empty, MemberOr<bool>(json, "allow_empty", false));
  ARROW_ASSIGN_OR_RAISE(node->min_rows, MemberOr<int64_t>(json, "min_rows", 0));
  return Status::OK();
}

Status ReadStage(const Json& json, Node* node) {
  ARROW_ASSIGN_OR_RAISE(const auto mode, Member<std::string>(json, "mode", kName));
  ARROW_ASSIGN_OR_RAISE(node->mode, ModeFromName(mode));
  ARROW_ASSIGN_OR_RAISE(node->by,
                        MemberOr<std::vector<std::string>>(json, "by", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(node->rows, MemberOr<int64_t>(json, "rows", 0));
  ARROW_ASSIGN_OR_RAISE(
      node->split, MemberOr<std::vector<std::string>>(json, "split", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(node->cores, MemberOr<int64_t>(json, "cores", 0));
  ARROW_ASSIGN_OR_RAISE(const auto timeout_s, MemberOr<double>(json, "timeout", 0));
  node->timeout_ms = std::llround(timeout_s * 1e3);
  ARROW_ASSIGN_OR_RAISE(
      const auto start,
      MemberOr<std::string>(json, "start", node->mode == Mode::kOnce ? "exec" : "fork"));
  node->fork = start == "fork";
  ARROW_ASSIGN_OR_RAISE(const Json* inputs, Array(json, "inputs"));
  for (const Json& one : *inputs) {
    ARROW_ASSIGN_OR_RAISE(node->inputs.emplace_back(), InputFromJson(one));
  }
  ARROW_ASSIGN_OR_RAISE(node->outputs, MemberOr<std::vector<std::string>>(
                                           json, "outputs", std::vector<std::string>{node->name}));
  ARROW_ASSIGN_OR_RAISE(node->code, MemberOr<Json>(json, "code", Json::object()));
  return Status::OK();
}

Result<Node> NodeFromJson(const Json& json) {
  Node node;
  ARROW_ASSIGN_OR_RAISE(const auto kind, Member<std::string>(json, "kind", kName));
  ARROW_ASSIGN_OR_RAISE(node.name, Member<std::string>(json, "name", kName));
  ARROW_ASSIGN_OR_RAISE(node.line, MemberOr<int64_t>(json, "line", 0));
  if (kind == "source") {
    node.kind = Node::Kind::kSource;
    ARROW_RETURN_NOT_OK(ReadSource(json, &node));
  } else if (kind == "stage") {
    ARROW_RETURN_NOT_OK(ReadStage(json, &node));
  } else {
    return Fail(Fault::kInternal, "\"" + kind + "\" is no kind of node", {.object = kName});
  }
  return node;
}

}  // namespace

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kOnce:
      return "once";
    case Mode::kPartition:
      return "partition";
    case Mode::kGroup:
      return "group";
    case Mode::kRows:
      return "rows";
  }
  return "once";
}

int64_t Node::num_outputs() const {
  return is_source() ? 1 : std::max<int64_t>(1, static_cast<int64_t>(outputs.size()));
}

std::string Node::FrameName(int64_t index) const {
  if (is_source() || outputs.size() <= 1) return name;
  return name + "." + outputs[static_cast<size_t>(index)];
}

bool Node::Splits(const std::string& param) const {
  return std::find(split.begin(), split.end(), param) != split.end();
}

int64_t Description::Find(const std::string& node) const {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == node) return static_cast<int64_t>(i);
  }
  return -1;
}

Json Description::SetTexts() const {
  Json texts = Json::object();
  for (const Parameter& param : params) {
    if (param.value.is_null()) continue;
    texts[param.name] =
        param.value.is_string() ? param.value.get<std::string>() : ToCanonicalText(param.value);
  }
  return texts;
}

Json Description::PlannedCode() const {
  Json code = Json::object();
  for (const Node& node : nodes) {
    if (!node.is_source()) code[node.name] = node.code;
  }
  return {{"sources", sources}, {"code", code}};
}

Result<Description> DescriptionFromJson(const Json& json) {
  Description out;
  ARROW_ASSIGN_OR_RAISE(out.job, Member<std::string>(json, "job", kName));
  ARROW_ASSIGN_OR_RAISE(out.name, MemberOr<std::string>(json, "name", "job"));
  ARROW_ASSIGN_OR_RAISE(out.python, MemberOr<std::string>(json, "python", ""));
  ARROW_ASSIGN_OR_RAISE(
      out.preload, MemberOr<std::vector<std::string>>(json, "preload", std::vector<std::string>()));
  ARROW_ASSIGN_OR_RAISE(out.sources, MemberOr<Json>(json, "sources", Json::object()));
  ARROW_ASSIGN_OR_RAISE(const Json* params, Array(json, "params"));
  for (const Json& one : *params) {
    Parameter param;
    ARROW_ASSIGN_OR_RAISE(param.name, Member<std::string>(one, "name", kName));
    ARROW_ASSIGN_OR_RAISE(param.type, MemberOr<std::string>(one, "type", ""));
    ARROW_ASSIGN_OR_RAISE(param.value, MemberOr<Json>(one, "value", Json()));
    out.params.push_back(std::move(param));
  }
  ARROW_ASSIGN_OR_RAISE(const Json* nodes, Array(json, "nodes"));
  for (const Json& one : *nodes) {
    ARROW_ASSIGN_OR_RAISE(out.nodes.emplace_back(), NodeFromJson(one));
  }
  ARROW_ASSIGN_OR_RAISE(const Json* outputs, Array(json, "outputs"));
  for (const Json& one : *outputs) {
    Output output;
    ARROW_ASSIGN_OR_RAISE(output.node, Member<std::string>(one, "node", kName));
    ARROW_ASSIGN_OR_RAISE(output.output, MemberOr<int64_t>(one, "output", 0));
    ARROW_ASSIGN_OR_RAISE(output.path, Member<std::string>(one, "path", kName));
    ARROW_ASSIGN_OR_RAISE(output.line, MemberOr<int64_t>(one, "line", 0));
    ARROW_ASSIGN_OR_RAISE(output.load, MemberOr<Json>(one, "load", Json()));
    ARROW_ASSIGN_OR_RAISE(output.state, MemberOr<std::string>(one, "state", ""));
    out.outputs.push_back(std::move(output));
  }
  return out;
}

}  // namespace hayate::job
