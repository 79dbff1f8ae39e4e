#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hayate::observe {

/// How far a stage is. Numbers that are not known stay 0.
struct StageState {
  std::string name;
  int64_t tasks_done = 0;
  int64_t tasks_total = 0;
  int64_t rows = 0;
  int64_t bytes_read = 0;   ///< of the input, as stored
  int64_t bytes_total = 0;  ///< of the input, as stored
  int64_t text_bytes = 0;   ///< after inflation
};

/// Part of the stage that is done, 0 to 1: by bytes where they are known, else by tasks; nullopt
/// where neither is.
std::optional<double> FractionDone(const StageState& state);

/// Time that is left if it goes on as it went; nullopt before anything can be said.
std::optional<double> SecondsLeft(const StageState& state, double elapsed_s);

/// "12/40 tasks, 1.2M rows, 85 MB/s, 1.9 cores, 0:42 left": what is known of a running stage.
/// `cores_busy` below 0: not known. The pieces are joined by `separator`.
std::string RunningLine(const StageState& state, double elapsed_s, double cores_busy,
                        std::string_view separator);

/// "███████░░░░░", 12 columns: the part that is done; blanks for a stage of one task, of which
/// nothing is known before its end.
std::string Bar(const StageState& state);

/// "done in 12.3 s, 40 tasks, 1.2M rows".
std::string EndLine(const StageState& state, double elapsed_s, std::string_view outcome);

/// 950, "1.2k", "3.4M", "5.6G".
std::string ShortCount(int64_t count);
/// "0:42", "12:05", "1:02:03".
std::string ShortTime(double seconds);

/// Columns of a terminal that UTF-8 `text` takes (wide East Asian characters take two).
int DisplayWidth(std::string_view text);
/// The longest beginning of `text` that takes at most `columns`; control characters become blanks.
std::string FitTo(std::string_view text, int columns);

}  // namespace hayate::observe
