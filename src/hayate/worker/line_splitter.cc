#include "hayate/worker/line_splitter.h"

namespace hayate::worker {

void LineSplitter::Add(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const bool ends = newline != std::string_view::npos;
    const size_t room = kMaxLineBytes - rest_.size();
    const std::string_view piece = bytes.substr(0, ends ? newline : bytes.size());
    if (piece.size() > room) {
      rest_.append(piece.substr(0, room));
      bytes.remove_prefix(room);
      sink(rest_);
      rest_.clear();
      continue;
    }
    rest_.append(piece);
    bytes.remove_prefix(piece.size() + (ends ? 1 : 0));
    if (!ends) return;
    if (!rest_.empty() && rest_.back() == '\r') rest_.pop_back();
    sink(rest_);
    rest_.clear();
  }
}

void LineSplitter::Finish(const Sink& sink) {
  if (rest_.empty()) return;
  sink(rest_);
  rest_.clear();
}

}  // namespace hayate::worker
