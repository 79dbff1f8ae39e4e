#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hayate/observe/live_lines.h"
#include "hayate/observe/stage_line.h"

namespace hayate::observe {

enum class ProgressMode {
  kAuto,      ///< kTerminal if standard error is one, else kLog
  kTerminal,  ///< one live line per running stage, redrawn at most 10 times a second
  kLog,       ///< a line per running stage every 10 s, and one at each stage's end
  kQuiet,     ///< only what is said
};

struct ProgressOptions {
  ProgressMode mode = ProgressMode::kAuto;
  /// For tests; empty: standard error, its width, the steady clock.
  std::function<void(std::string_view)> write;
  std::function<int()> columns;
  std::function<std::chrono::steady_clock::time_point()> now;
};

/// Tells a person how a run goes. One thread; never blocks for longer than a write to standard
/// error. The terminal is left clean when it is destroyed.
class Progress {
 public:
  explicit Progress(ProgressOptions options = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// A stage begins or has come further; stages are told apart by name and keep their order.
  void Update(const StageState& state);
  /// A stage has ended; `outcome` is "done", "failed", …; its last state is that of Update.
  void Finish(const std::string& name, std::string_view outcome);
  /// A line that stays: a warning, a line of the log.
  void Say(std::string_view line);
  /// Cores busy in the whole run; below 0: not known.
  void set_cores_busy(double cores) { cores_busy_ = cores; }
  /// Draws or prints if it is time to. To be called several times a second.
  void Tick();

  ProgressMode mode() const { return mode_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    StageState state;
    Clock::time_point start;
    Clock::time_point next_line;
  };

  void Draw();
  void PrintLines();
  std::string Padded(const std::string& name) const;
  double SecondsSince(Clock::time_point start) const;

  ProgressOptions options_;
  ProgressMode mode_;
  LiveLines live_;
  std::vector<Running> running_;
  int name_columns_ = 0;
  double cores_busy_ = -1;
  Clock::time_point next_drawing_{};
};

}  // namespace hayate::observe
