#include "hayate/observe/stage_line.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace hayate::observe {
namespace {

// Earlier than this a forecast is a guess.
constexpr double kForecastAfterSeconds = 2.0;
constexpr double kForecastAfterFraction = 0.01;

template <typename... Arguments>
std::string Format(const char* format, Arguments... arguments) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, arguments...);
  return text.data();
}

// One character of UTF-8 at the start of `text`: its bytes and its code point. A byte that starts
// none counts as a character of its own.
struct Character {
  size_t bytes = 1;
  uint32_t code = 0xfffd;
};

Character FirstCharacter(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
  if (bytes == 1) return {1, lead};
  if (bytes == 0 || bytes > text.size()) return {};
  uint32_t code = lead & (0xffu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xc0) != 0x80) return {};
    code = code << 6 | (byte & 0x3f);
  }
  return {bytes, code};
}

// The blocks of Unicode's East Asian Width (UAX #11) that are wide throughout, and combining marks.
int WidthOf(uint32_t code) {
  if (code >= 0x300 && code <= 0x36f) return 0;
  const bool wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
                    (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
                    (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
                    (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x1faff) ||
                    (code >= 0x20000 && code <= 0x3fffd);
  return wide ? 2 : 1;
}

void Add(std::string* line, std::string_view separator, const std::string& piece) {
  if (!line->empty()) line->append(separator);
  line->append(piece);
}

std::string Tasks(const StageState& state) {
  if (state.tasks_total <= 1) return {};
  return std::to_string(state.tasks_done) + "/" + std::to_string(state.tasks_total) + " tasks";
}

}  // namespace

std::optional<double> FractionDone(const StageState& state) {
  const auto part = [](int64_t done, int64_t total) {
    return std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  };
  if (state.bytes_total > 0) return part(state.bytes_read, state.bytes_total);
  if (state.tasks_total > 0) return part(state.tasks_done, state.tasks_total);
  return std::nullopt;
}

std::optional<double> SecondsLeft(const StageState& state, double elapsed_s) {
  const auto fraction = FractionDone(state);
  if (!fraction || *fraction < kForecastAfterFraction || elapsed_s < kForecastAfterSeconds) {
    return std::nullopt;
  }
  return elapsed_s * (1.0 - *fraction) / *fraction;
}

std::string RunningLine(const StageState& state, double elapsed_s, double cores_busy,
                        std::string_view separator) {
  std::string line;
  if (const std::string tasks = Tasks(state); !tasks.empty()) Add(&line, separator, tasks);
  if (state.rows > 0) Add(&line, separator, ShortCount(state.rows) + " rows");
  const int64_t bytes = std::max(state.text_bytes, state.bytes_read);
  if (bytes > 0 && elapsed_s > 0) {
    Add(&line, separator, Format("%.0f MB/s", static_cast<double>(bytes) / 1e6 / elapsed_s));
  }
  if (cores_busy >= 0) Add(&line, separator, Format("%.1f cores", cores_busy));
  if (const auto left = SecondsLeft(state, elapsed_s)) {
    Add(&line, separator, ShortTime(*left) + " left");
  } else {
    Add(&line, separator, ShortTime(elapsed_s));
  }
  return line;
}

std::string Bar(const StageState& state) {
  constexpr int kColumns = 12;
  const auto fraction = FractionDone(state);
  const bool is_known = fraction && (state.bytes_total > 0 || state.tasks_total > 1);
  if (!is_known) return std::string(kColumns, ' ');
  // Full only at the end.
  const auto full = static_cast<int>(*fraction * kColumns);
  std::string bar;
  for (int i = 0; i < kColumns; ++i) bar += i < full ? "█" : "░";
  return bar;
}

std::string EndLine(const StageState& state, double elapsed_s, std::string_view outcome) {
  std::string line = std::string(outcome) + Format(" in %.1f s", elapsed_s);
  if (state.tasks_total > 1) line += ", " + std::to_string(state.tasks_total) + " tasks";
  if (state.rows > 0) line += ", " + ShortCount(state.rows) + " rows";
  return line;
}

std::string ShortCount(int64_t count) {
  constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  auto value = static_cast<double>(count);
  size_t unit = 0;
  // 999.95 would be printed as 1000.0.
  while (std::abs(value) >= (unit == 0 ? 1000.0 : 999.95) && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  return unit == 0 ? std::to_string(count) : Format("%.1f%s", value, kUnits[unit]);
}

std::string ShortTime(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  const auto hours = static_cast<int>(total / 3600);
  const auto minutes = static_cast<int>(total / 60 % 60);
  const auto rest = static_cast<int>(total % 60);
  return hours > 0 ? Format("%d:%02d:%02d", hours, minutes, rest)
                   : Format("%d:%02d", minutes, rest);
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    width += WidthOf(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string FitTo(std::string_view text, int columns) {
  std::string fitted;
  int width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    width += WidthOf(character.code);
    if (width > columns) break;
    if (character.code < 0x20 || character.code == 0x7f) {
      fitted += ' ';
    } else {
      fitted.append(text.substr(0, character.bytes));
    }
    text.remove_prefix(character.bytes);
  }
  return fitted;
}

}  // namespace hayate::observe
