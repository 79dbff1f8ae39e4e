#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hayate::worker {

/// Cuts what a child writes into lines. A line of more than `kMaxLineBytes` comes in pieces, so
/// that a child that never ends one takes no memory here. A carriage return at a line's end is
/// dropped.
class LineSplitter {
 public:
  static constexpr size_t kMaxLineBytes = 16 * 1024;
  using Sink = std::function<void(std::string_view line)>;

  /// Calls `sink` for every line that `bytes` completes.
  void Add(std::string_view bytes, const Sink& sink);
  /// Calls `sink` for what has no newline yet, if anything.
  void Finish(const Sink& sink);

 private:
  std::string rest_;
};

}  // namespace hayate::worker
