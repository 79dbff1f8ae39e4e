#include "hayate/observe/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace hayate::observe {
namespace {

constexpr std::chrono::milliseconds kDrawingInterval{100};
constexpr std::chrono::seconds kLineInterval{10};
constexpr int kDefaultColumns = 80;
constexpr int kMaxNameColumns = 32;

void WriteToStandardError(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(STDERR_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    // Nobody reads it, or nobody can: the run goes on.
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

int TerminalColumns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kDefaultColumns;
}

bool IsLiveTerminal() {
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::strcmp(term, "dumb") == 0;
  return !dumb && isatty(STDERR_FILENO) == 1;
}

ProgressOptions WithDefaults(ProgressOptions options) {
  if (!options.write) options.write = WriteToStandardError;
  if (!options.columns) options.columns = TerminalColumns;
  if (!options.now) options.now = std::chrono::steady_clock::now;
  if (options.mode == ProgressMode::kAuto) {
    options.mode = IsLiveTerminal() ? ProgressMode::kTerminal : ProgressMode::kLog;
  }
  return options;
}

}  // namespace

Progress::Progress(ProgressOptions options)
    : options_(WithDefaults(std::move(options))),
      mode_(options_.mode),
      live_(options_.write, options_.columns) {}

Progress::~Progress() { live_.Clear(); }

double Progress::SecondsSince(Clock::time_point start) const {
  return std::chrono::duration<double>(options_.now() - start).count();
}

void Progress::Update(const StageState& state) {
  for (Running& running : running_) {
    if (running.state.name != state.name) continue;
    running.state = state;
    return;
  }
  const Clock::time_point now = options_.now();
  running_.push_back({state, now, now + kLineInterval});
  name_columns_ = std::clamp(std::max(name_columns_, DisplayWidth(state.name)), 0, kMaxNameColumns);
}

void Progress::Finish(const std::string& name, std::string_view outcome) {
  const auto found = std::find_if(running_.begin(), running_.end(), [&](const Running& running) {
    return running.state.name == name;
  });
  if (found == running_.end()) return;
  const std::string line = EndLine(found->state, SecondsSince(found->start), outcome);
  running_.erase(found);
  if (mode_ == ProgressMode::kQuiet) return;
  if (mode_ == ProgressMode::kTerminal) {
    // The line of the stage becomes one that stays.
    Draw();
    live_.Print(Padded(name) + "  " + line);
  } else {
    Say("hayate: " + name + ": " + line);
  }
}

void Progress::Say(std::string_view line) { live_.Print(line); }

void Progress::Tick() {
  if (mode_ == ProgressMode::kTerminal && options_.now() >= next_drawing_) Draw();
  if (mode_ == ProgressMode::kLog) PrintLines();
}

void Progress::Draw() {
  next_drawing_ = options_.now() + kDrawingInterval;
  std::vector<std::string> lines;
  lines.reserve(running_.size());
  for (const Running& running : running_) {
    lines.push_back(Padded(running.state.name) + "  " + Bar(running.state) + "  " +
                    RunningLine(running.state, SecondsSince(running.start), cores_busy_, "  "));
  }
  live_.Draw(lines);
}

void Progress::PrintLines() {
  const Clock::time_point now = options_.now();
  for (Running& running : running_) {
    if (now < running.next_line) continue;
    running.next_line = now + kLineInterval;
    Say("hayate: " + running.state.name + ": " +
        RunningLine(running.state, SecondsSince(running.start), cores_busy_, ", "));
  }
}

std::string Progress::Padded(const std::string& name) const {
  const int missing = name_columns_ - DisplayWidth(name);
  return missing > 0 ? name + std::string(static_cast<size_t>(missing), ' ') : name;
}

}  // namespace hayate::observe
