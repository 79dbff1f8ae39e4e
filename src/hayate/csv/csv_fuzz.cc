#include <arrow/api.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/csv/block_reader.h"
#include "hayate/csv/convert.h"
#include "hayate/csv/detect.h"
#include "hayate/csv/infer.h"
#include "hayate/csv/records.h"

namespace {

using hayate::csv::BlockReader;

// What every block size must agree on.
struct Outcome {
  std::vector<std::string> fields;
  std::vector<int64_t> places;  // row and line numbers
  std::string error;
  bool operator==(const Outcome& other) const = default;
};

// A dialect, and what is done about bad rows, for each byte.
hayate::csv::ReadOptions OptionsOf(uint8_t choice) {
  hayate::csv::ReadOptions options;
  if ((choice & 1) != 0) options.on_error = hayate::csv::OnError::kQuarantine;
  if ((choice & 2) != 0) options.escape_char = '\\';
  if ((choice & 4) != 0) options.comment_prefix = (choice & 8) != 0 ? "#!" : "#";
  if ((choice & 16) != 0) options.skip_initial_space = true;
  if ((choice & 32) != 0) options.header = false;
  if ((choice & 64) != 0) options.skip_rows = 1;
  if ((choice & 128) != 0) {
    options.decimal_point = ',';
    options.thousands = '.';
    options.delimiter = ';';
  }
  return options;
}

const std::vector<std::string>& TypeNames() {
  static const auto* const names = new std::vector<std::string>{
      "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL",      "STRING",
      "BYTES", "DATE",    "TIME",    "DATETIME",   "TIMESTAMP", "DICTIONARY"};
  return *names;
}

void CheckConversion(const hayate::csv::TextBlock& block, int field,
                     const std::shared_ptr<arrow::DataType>& type,
                     hayate::csv::ConvertOptions options, const hayate::csv::CellRules& rules) {
  const auto column = hayate::csv::ConvertColumn(block, field, type, options, rules);
  if (!column.ok()) std::abort();
  if (column->array != nullptr && !column->array->ValidateFull().ok()) std::abort();
  if (column->array == nullptr && (options.past_bad_cells || column->bad.size() != 1)) std::abort();
  for (const hayate::csv::BadCell& bad : column->bad) {
    if (hayate::csv::BadCellError(block, bad, "c", *type).ok()) std::abort();
  }
}

// Every field as every type: none may crash, and what comes out must be a valid array.
void ConvertAll(const hayate::csv::TextBlock& block, const hayate::csv::CellRules& rules) {
  for (int field = 0; field < block.columns && field < 4; ++field) {
    hayate::csv::ClassifyColumn(block, 0, field, rules);
    for (const std::string& name : TypeNames()) {
      const auto type = hayate::csv::TypeFromName(name).ValueOrDie();
      for (const bool inferred : {false, true}) {
        CheckConversion(block, field, type, {.inferred = inferred}, rules);
        CheckConversion(block, field, type, {.inferred = inferred, .past_bad_cells = true}, rules);
      }
    }
  }
}

void AddTo(Outcome* outcome, const hayate::csv::TextBlock& block) {
  for (int64_t row = 0; row < block.rows; ++row) {
    outcome->places.push_back(block.RowNumber(row));
    outcome->places.push_back(block.LineOfRow(row));
    for (int column = 0; column < block.columns; ++column) {
      outcome->fields.emplace_back(block.RawField(row, column));
    }
  }
}

// Bad rows stand beside the good ones of their block, so that those of all come last.
void AddBadRows(Outcome* outcome, const std::vector<hayate::csv::BadRow>& rows) {
  for (const hayate::csv::BadRow& row : rows) {
    outcome->places.push_back(row.row);
    outcome->places.push_back(row.line);
    outcome->fields.push_back(row.text + " " + row.reason);
  }
}

Outcome ReadIn(const std::string& text, hayate::csv::ReadOptions options, int64_t block_bytes,
               size_t piece_bytes, bool convert) {
  options.block_bytes = block_bytes;
  const hayate::csv::CellRules rules(options);
  Outcome outcome;
  std::vector<hayate::csv::BadRow> bad_rows;
  auto reader = BlockReader::Make(std::make_unique<hayate::MemoryStream>(text, piece_bytes),
                                  options, std::make_shared<hayate::csv::BlockPool>());
  if (!reader.ok()) {
    outcome.error = reader.status().ToString();
    return outcome;
  }
  while (true) {
    auto block = (*reader)->Next();
    if (!block.ok()) outcome.error = block.status().ToString();
    if (!block.ok() || *block == nullptr) break;
    AddTo(&outcome, **block);
    bad_rows.insert(bad_rows.end(), (*block)->bad_rows.begin(), (*block)->bad_rows.end());
    if (!convert) continue;
    ConvertAll(**block, rules);
    std::vector<int64_t> every_third;
    for (int64_t row = 0; row < (*block)->rows; row += 3) every_third.push_back(row);
    hayate::csv::TakeOutRows(block->get(), every_third);
    ConvertAll(**block, rules);
  }
  AddBadRows(&outcome, bad_rows);
  return outcome;
}

}  // namespace

/// The first three bytes choose options, block and piece; the rest is the file. Blocks of any size
/// and every kernel must give the same fields, bad rows, numbers and error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostBytes = 1 << 14;
  constexpr size_t kChoices = 3;
  if (size < kChoices || size > kMostBytes) return 0;
  const std::string text(reinterpret_cast<const char*>(data + kChoices), size - kChoices);
  const hayate::csv::ReadOptions options = OptionsOf(data[0]);
  const Outcome whole = ReadIn(text, options, 1 << 20, size, /*convert=*/true);
  const Outcome pieces = ReadIn(text, options, 1 + data[1], 1 + data[2], /*convert=*/false);
  if (!(whole == pieces)) std::abort();
  setenv("HAYATE_FORCE_KERNEL", "scalar", 1);
  const Outcome scalar = ReadIn(text, options, 1 << 20, size, /*convert=*/false);
  unsetenv("HAYATE_FORCE_KERNEL");
  if (!(whole == scalar)) std::abort();
  hayate::csv::Describe(hayate::csv::DetectDialect(text, /*whole=*/true));
  return 0;
}
