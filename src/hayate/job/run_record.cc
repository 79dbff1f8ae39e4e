#include "hayate/job/run_record.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace hayate::job {
namespace {

std::string FormatNow(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), format, &utc);
  return text.data();
}

double Number(const Json& usage, const char* key) {
  const auto found = usage.find(key);
  return found != usage.end() && found->is_number() ? found->get<double>() : 0;
}

Json ToJson(const NodeRecord& node) {
  return {{"name", node.name},
          {"kind", node.kind},
          {"state", node.state},
          {"reason", node.reason},
          {"note", node.note},
          {"tasks", node.tasks},
          {"tasks_kept", node.tasks_kept},
          {"start_s", node.start_s < 0 ? Json() : Json(node.start_s)},
          {"wall_s", node.wall_s()},
          {"cpu_s", node.cpu_s},
          {"user_cpu_s", node.user_cpu_s},
          {"user_wall_s", node.user_wall_s},
          {"max_rss_bytes", node.max_rss_bytes},
          {"rows", node.rows < 0 ? Json() : Json(node.rows)},
          {"bytes", node.bytes < 0 ? Json() : Json(node.bytes)}};
}

Json ToJson(const TaskRecord& task) {
  return {{"node", task.node},
          {"kind", task.kind},
          {"partition", task.partition ? Json(*task.partition) : Json()},
          {"start_s", task.start_s},
          {"end_s", task.end_s},
          {"threads", task.threads},
          {"usage", task.usage}};
}

Json ToJson(const OutputRecord& output) {
  return {{"path", output.path},
          {"node", output.node},
          {"rows", output.rows < 0 ? Json() : Json(output.rows)},
          {"bytes", output.bytes < 0 ? Json() : Json(output.bytes)},
          {"written", output.written}};
}

template <typename T>
Json ListToJson(const std::vector<T>& list) {
  Json json = Json::array();
  for (const T& one : list) json.push_back(ToJson(one));
  return json;
}

}  // namespace

void RunRecord::Add(const TaskRecord& task) {
  tasks.push_back(task);
  // The disk's time is not the stage's: it goes on beside what comes after it.
  if (task.kind == "sync") return;
  NodeRecord* node = Find(task.node);
  if (node == nullptr) return;
  if (node->start_s < 0 || task.start_s < node->start_s) node->start_s = task.start_s;
  node->end_s = std::max(node->end_s, task.end_s);
  node->cpu_s += Number(task.usage, "cpu_s");
  node->user_cpu_s += Number(task.usage, "user_cpu_s");
  node->user_wall_s += Number(task.usage, "user_wall_s");
  node->max_rss_bytes =
      std::max(node->max_rss_bytes, static_cast<int64_t>(Number(task.usage, "max_rss_bytes")));
  if (task.kind == "stage" || task.kind == "ingest") ++node->tasks;
}

NodeRecord* RunRecord::Find(const std::string& node) {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](const NodeRecord& one) { return one.name == node; });
  return found == nodes.end() ? nullptr : &*found;
}

Json RunRecord::ToJson() const {
  return {{"id", id.empty() ? Json() : Json(id)},
          {"pid", getpid()},
          {"job", job},
          {"store", store},
          {"status", status},
          {"started", started},
          {"ended", ended.empty() ? Json() : Json(ended)},
          {"wall_s", wall_s},
          {"slots", slots},
          {"set", set},
          {"error", error},
          {"stages", ListToJson(nodes)},
          {"tasks", ListToJson(tasks)},
          {"outputs", ListToJson(outputs)},
          {"warnings", warnings},
          {"frames", frames},
          {"uses", uses},
          {"copies", copies}};
}

std::string UtcNow() { return FormatNow("%Y-%m-%dT%H:%M:%SZ"); }

std::string NewRunId(const std::string& last) {
  const std::string now = FormatNow("%Y%m%dT%H%M%S");
  const std::string time = last.substr(0, now.size());
  if (now > time) return now + "-0000";
  const std::string number = last.size() > now.size() ? last.substr(now.size() + 1) : "";
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "-%04lld", std::atoll(number.c_str()) + 1);
  return time + digits.data();
}

}  // namespace hayate::job
