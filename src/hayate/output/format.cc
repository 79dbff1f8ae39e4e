#include <array>
#include <utility>

#include "hayate/output/output.h"

namespace hayate::output {
namespace {

// Longer endings first: ".csv.gz" is no ".gz".
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFormats = {
    {{".csv.gz", "csv.gz"},
     {".csv", "csv"},
     {".parquet", "parquet"},
     {".arrow", "arrow"},
     {".feather", "arrow"}}};

}  // namespace

Result<std::string> FormatOfPath(const std::string& path) {
  for (const auto& [extension, format] : kFormats) {
    if (path.ends_with(extension)) return std::string(format);
  }
  return Fail(Fault::kUsage, "the path's extension names no format", {.object = path},
              "Let it end in .arrow, .feather, .parquet, .csv or .csv.gz.");
}

}  // namespace hayate::output
