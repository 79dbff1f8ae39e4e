#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hayate::observe {

/// Lines at the bottom of a terminal that are drawn again and again, below text that stays.
/// Nothing of the terminal is changed but what is on it, so there is nothing to restore: Clear
/// leaves the cursor where the lines began. Each line is cut to the terminal's width, because one
/// that wraps could not be drawn over.
class LiveLines {
 public:
  /// `write` puts text on the terminal; `columns` is asked for its width at each drawing.
  LiveLines(std::function<void(std::string_view)> write, std::function<int()> columns)
      : write_(std::move(write)), columns_(std::move(columns)) {}

  /// Draws `lines` in place of those that are there.
  void Draw(const std::vector<std::string>& lines);
  /// Puts a line that stays above the live ones.
  void Print(std::string_view line);
  /// Takes the live lines off the terminal.
  void Clear();

 private:
  std::string Erase() const;
  std::string Text() const;

  std::function<void(std::string_view)> write_;
  std::function<int()> columns_;
  std::vector<std::string> drawn_;
};

}  // namespace hayate::observe
