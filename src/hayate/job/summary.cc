#include "hayate/job/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "hayate/base/file.h"
#include "hayate/base/json.h"
#include "hayate/frame/manifest.h"
#include "hayate/observe/stage_line.h"

namespace hayate::job {
namespace {

constexpr int64_t kMaxShownBytes = 2048;

std::string Seconds(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  return text.data();
}

std::string Size(int64_t bytes) {
  std::array<char, 32> text{};
  const double mb = static_cast<double>(bytes) / 1e6;
  std::snprintf(text.data(), text.size(), mb < 10 ? "%.1f MB" : "%.0f MB", mb);
  return text.data();
}

using Row = std::vector<std::string>;

// Columns of text, the first two to the left, the others to the right.
std::string Table(const std::vector<Row>& rows) {
  std::vector<int> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], observe::DisplayWidth(row[i]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(static_cast<size_t>(widths[i] - observe::DisplayWidth(row[i])), ' ');
      line += " " + (i < 2 ? row[i] + blanks : blanks + row[i]) + " ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

Row NodeRow(const NodeRecord& node) {
  const std::string rows = node.rows < 0 ? "" : observe::ShortCount(node.rows) + " rows";
  if (node.state != "run") return {node.name, node.state, "", "", "", rows};
  const std::string tasks =
      std::to_string(node.tasks) + (node.tasks == 1 ? " task" : " tasks") +
      (node.tasks_kept > 0 ? " (+" + std::to_string(node.tasks_kept) + " kept)" : "");
  return {node.name, "run", tasks, Seconds(node.wall_s()), "CPU " + Seconds(node.cpu_s), rows};
}

// As a reader compares numbers: whole ones whole, others to six digits. The frame has them all.
std::string Scalar(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return ToCanonicalText(value);
  std::array<char, 32> text{};
  const double number = value.get<double>();
  const bool whole = std::abs(number) < 1e15 && number == std::trunc(number);
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.6g", number);
  return text.data();
}

// The object of scalars that a stage returned (metrics), if that is what its frame holds.
std::string SmallValue(const std::string& dir) {
  const auto manifest = frame::ReadManifest(dir);
  if (!manifest.ok() || manifest->is_table() || manifest->parts.size() != 1) return {};
  const frame::Part& part = manifest->parts.front();
  if (part.codec != "json" || part.bytes > kMaxShownBytes) return {};
  const auto text = ReadFile((std::filesystem::path(dir) / part.file).string());
  if (!text.ok()) return {};
  const auto json = ParseJson(*text, part.file);
  if (!json.ok() || !json->is_object()) return {};
  std::string shown;
  for (const auto& [name, value] : json->items()) {
    if (!value.is_number() && !value.is_string() && !value.is_boolean()) return {};
    shown += (shown.empty() ? "" : ", ") + name + " " + Scalar(value);
  }
  return shown;
}

}  // namespace

std::string FormatSummary(const RunRecord& record) {
  std::vector<Row> rows;
  for (const NodeRecord& node : record.nodes) {
    if (node.state != "unused") rows.push_back(NodeRow(node));
  }
  std::string text = Table(rows);
  for (const NodeRecord& node : record.nodes) {
    if (!node.note.empty()) text += "  " + node.name + ": " + node.note + "\n";
  }
  for (const auto& [name, dir] : record.frames) {
    const std::string value = SmallValue(dir);
    if (!value.empty()) text += "  " + name + ": " + value + "\n";
  }
  for (const OutputRecord& output : record.outputs) {
    text += (output.written ? "  wrote " : "  unchanged ") + output.path + " (" +
            observe::ShortCount(output.rows) + " rows, " + Size(output.bytes) + ")\n";
  }
  const bool nothing = std::none_of(record.nodes.begin(), record.nodes.end(),
                                    [](const NodeRecord& node) { return node.state == "run"; });
  text += "hayate: " + std::string(nothing ? "nothing to do, " : "") + record.status + " in " +
          Seconds(record.wall_s) + "; log: " + record.store + "/runs/" + record.id + "/log\n";
  return text;
}

}  // namespace hayate::job
