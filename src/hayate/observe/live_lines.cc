#include "hayate/observe/live_lines.h"

#include "hayate/observe/stage_line.h"

namespace hayate::observe {

std::string LiveLines::Erase() const {
  if (drawn_.empty()) return {};
  // Up to the first live line, to its start, and everything below it off (ECMA-48 CPL, ED).
  return "\x1b[" + std::to_string(drawn_.size()) + "F\x1b[J";
}

std::string LiveLines::Text() const {
  std::string text;
  // One less: a full last column makes some terminals wrap.
  const int columns = columns_() - 1;
  for (const std::string& line : drawn_) text += FitTo(line, columns) + "\n";
  return text;
}

void LiveLines::Draw(const std::vector<std::string>& lines) {
  if (lines.empty() && drawn_.empty()) return;
  const std::string erase = Erase();
  drawn_ = lines;
  // One write, so that nothing is seen half drawn.
  write_(erase + Text());
}

void LiveLines::Print(std::string_view line) {
  write_(Erase() + std::string(line) + "\n" + Text());
}

void LiveLines::Clear() { Draw({}); }

}  // namespace hayate::observe
