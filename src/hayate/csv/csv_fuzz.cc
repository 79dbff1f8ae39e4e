#include <arrow/api.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "hayate/csv/block_reader.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/infer.h"
#include "hayate/csv/memory_stream.h"

namespace {

using hayate::csv::BlockReader;

// What every block size must agree on.
struct Outcome {
  std::vector<std::string> fields;
  std::string error;
  bool operator==(const Outcome& other) const = default;
};

const std::vector<std::string>& TypeNames() {
  static const auto* const names = new std::vector<std::string>{
      "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL",     "STRING",
      "BYTES", "DATE",    "TIME",    "DATETIME",   "TIMESTAMP"};
  return *names;
}

// Every field as every type: none may crash, and what comes out must be a valid array.
void ConvertAll(const hayate::csv::TextBlock& block, const hayate::csv::CellRules& rules) {
  for (int field = 0; field < block.columns && field < 4; ++field) {
    hayate::csv::ClassifyColumn(block, 0, field, rules);
    for (const std::string& name : TypeNames()) {
      const auto type = hayate::csv::TypeFromName(name).ValueOrDie();
      for (const bool inferred : {false, true}) {
        const auto column = hayate::csv::ConvertColumn(block, field, type, inferred, rules);
        if (!column.ok()) std::abort();
        if (column->array != nullptr && !column->array->ValidateFull().ok()) std::abort();
        if (column->array == nullptr &&
            hayate::csv::BadCellError(block, *column->bad, "c", *type).ok()) {
          std::abort();
        }
      }
    }
  }
}

Outcome ReadIn(const std::string& text, int64_t block_bytes, size_t piece_bytes, bool convert) {
  hayate::csv::ReadOptions options;
  options.block_bytes = block_bytes;
  const hayate::csv::CellRules rules(options);
  Outcome outcome;
  auto reader = BlockReader::Make(std::make_unique<hayate::csv::MemoryStream>(text, piece_bytes),
                                  options, std::make_shared<hayate::csv::BlockPool>());
  if (!reader.ok()) {
    outcome.error = reader.status().ToString();
    return outcome;
  }
  while (true) {
    auto block = (*reader)->Next();
    if (!block.ok()) outcome.error = block.status().ToString();
    if (!block.ok() || *block == nullptr) return outcome;
    for (int64_t row = 0; row < (*block)->rows; ++row) {
      for (int column = 0; column < (*block)->columns; ++column) {
        outcome.fields.emplace_back((*block)->RawField(row, column));
      }
    }
    if (convert) ConvertAll(**block, rules);
  }
}

}  // namespace

/// The first two bytes choose block and piece; the rest is the file. Blocks of any size and every
/// kernel must give the same fields and the same error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostBytes = 1 << 14;
  if (size < 2 || size > kMostBytes) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  const Outcome whole = ReadIn(text, 1 << 20, size, /*convert=*/true);
  const Outcome pieces = ReadIn(text, 1 + data[0], 1 + data[1], /*convert=*/false);
  if (!(whole == pieces)) std::abort();
  setenv("HAYATE_FORCE_KERNEL", "scalar", 1);
  const Outcome scalar = ReadIn(text, 1 << 20, size, /*convert=*/false);
  unsetenv("HAYATE_FORCE_KERNEL");
  if (!(whole == scalar)) std::abort();
  return 0;
}
