#include "hayate/output/preview.h"

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/table.h>

#include <algorithm>
#include <vector>

namespace hayate::output {
namespace {

constexpr size_t kMaxCellCharacters = 40;

bool StartsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

size_t CountCharacters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), StartsCharacter));
}

// One line, no control characters, at most kMaxCellCharacters.
std::string Cell(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  }
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (StartsCharacter(text[i]) && ++characters > kMaxCellCharacters) {
      return text.substr(0, i) + "…";
    }
  }
  return text;
}

Result<std::vector<std::string>> Column(const arrow::ChunkedArray& column) {
  std::vector<std::string> cells;
  for (int64_t i = 0; i < column.length(); ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto scalar, column.GetScalar(i));
    cells.push_back(Cell(scalar->is_valid ? scalar->ToString() : "null"));
  }
  return cells;
}

}  // namespace

Result<std::string> FormatFirstRows(const frame::FrameReader& frame, int64_t rows) {
  const int64_t stop = std::min(rows, frame.manifest().rows);
  ARROW_ASSIGN_OR_RAISE(const auto table, frame.ReadRows(0, stop));
  std::vector<std::string> lines(static_cast<size_t>(table->num_rows()) + 1);
  for (int i = 0; i < table->num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto cells, Column(*table->column(i)));
    cells.insert(cells.begin(), Cell(table->field(i)->name()));
    size_t width = 0;
    for (const std::string& cell : cells) width = std::max(width, CountCharacters(cell));
    for (size_t line = 0; line < lines.size(); ++line) {
      const size_t blanks = width - CountCharacters(cells[line]);
      lines[line] += cells[line];
      if (i + 1 < table->num_columns()) lines[line].append(blanks + 2, ' ');
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace hayate::output
