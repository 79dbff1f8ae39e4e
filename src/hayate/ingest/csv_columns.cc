#include "hayate/ingest/csv_columns.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

namespace hayate::ingest {
namespace {

constexpr size_t kMostNamesShown = 30;

// The names of a header as a message shows them.
std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMostNamesShown; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return text + (names.size() > kMostNamesShown ? ", …" : "");
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<std::vector<CsvColumn>> ResolveColumns(const csv::ReadOptions& options,
                                              const std::vector<std::string>& header,
                                              const std::string& first_shard) {
  const auto lacks = [&](const std::string& name, const std::string& option) {
    return Fail(Fault::kInput,
                option + " names the column \"" + name +
                    "\", which is not among those of the file: " + Listed(header),
                {.object = first_shard, .column = name}, "Correct the name in " + option + ".");
  };
  for (const auto& [name, type] : options.schema) {
    if (!Contains(header, name)) return lacks(name, "schema=");
  }
  std::vector<CsvColumn> columns;
  std::set<std::string> seen;
  for (const std::string& name : options.columns.empty() ? header : options.columns) {
    if (!Contains(header, name)) return lacks(name, "columns=");
    if (!seen.insert(name).second) {
      return Fail(Fault::kUsage, "columns= names \"" + name + "\" twice", {.column = name},
                  "Name each column once.");
    }
    CsvColumn column{.name = name, .declared = nullptr};
    const auto declared = options.schema.find(name);
    if (declared != options.schema.end()) {
      ARROW_ASSIGN_OR_RAISE(column.declared, csv::TypeFromName(declared->second));
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<std::vector<int>> MapColumns(const std::vector<CsvColumn>& columns, bool all_columns,
                                    const std::vector<std::string>& header,
                                    const std::string& shard, const std::string& first_shard) {
  std::unordered_map<std::string, int> fields;
  for (size_t i = 0; i < header.size(); ++i) fields.emplace(header[i], static_cast<int>(i));
  std::vector<int> mapping;
  for (const CsvColumn& column : columns) {
    const auto found = fields.find(column.name);
    if (found == fields.end()) {
      return Fail(
          Fault::kInput,
          "the column \"" + column.name + "\" is missing, which " + first_shard + " has",
          {.object = shard, .column = column.name},
          "Make the files with the same columns, or read the common ones by columns=[...].");
    }
    mapping.push_back(found->second);
    fields.erase(found);
  }
  if (!all_columns || fields.empty()) return mapping;
  for (const std::string& name : header) {
    if (!fields.contains(name)) continue;
    return Fail(Fault::kInput,
                "there is a column \"" + name + "\", which " + first_shard + " lacks",
                {.object = shard, .column = name},
                "Make the files with the same columns, or read the common ones by columns=[...].");
  }
  return mapping;
}

}  // namespace hayate::ingest
