#include "hayate/csv/scan.h"

namespace hayate::csv {
namespace {

// A dialect's byte-by-byte machine. What `state` says is in members while it runs.
class ScalarScan {
 public:
  ScalarScan(const Dialect& dialect, ScanState* state, uint32_t* out)
      : dialect_(dialect), state_(state), mode_(state->mode), out_(out) {}

  uint32_t* Run(const uint8_t* text, size_t begin, size_t end) {
    for (size_t at = begin; at < end; ++at) Take(text[at], at);
    state_->mode = mode_;
    return out_;
  }

 private:
  bool at_field_start() const {
    return mode_ == ScanMode::kRecordStart || mode_ == ScanMode::kFieldStart;
  }

  void Take(uint8_t byte, size_t at) {
    const bool line_feed_of_crlf = byte == '\n' && state_->after_cr;
    const bool line_end = byte == '\r' || (byte == '\n' && !state_->after_cr);
    state_->after_cr = byte == '\r';
    state_->lines += line_end ? 1 : 0;
    const bool is_escaped = state_->after_escape;
    state_->after_escape = false;
    if (!dialect_.comment_prefix.empty() && !is_escaped && TakeComment(byte, at, line_end)) return;
    if (is_escaped) return;
    if (dialect_.has_escape && byte == dialect_.escape) {
      TakeEscape(at);
    } else if (dialect_.has_quote && byte == dialect_.quote) {
      TakeQuote();
    } else if (mode_ != ScanMode::kQuoted && !line_feed_of_crlf) {
      TakeOther(byte, at, line_end);
    }
  }

  // Whether the byte is part of a comment, or may be.
  bool TakeComment(uint8_t byte, size_t at, bool line_end) {
    const std::string& prefix = dialect_.comment_prefix;
    if (mode_ == ScanMode::kComment) {
      if (line_end) {
        state_->any_comment = true;
        EndRecord(at);
      }
      return true;
    }
    if (mode_ == ScanMode::kRecordStart) {
      state_->prefix_bytes = 0;
    } else if (mode_ != ScanMode::kCommentPrefix) {
      return false;
    }
    if (byte != static_cast<uint8_t>(prefix[state_->prefix_bytes])) {
      // What has come of it is text.
      if (mode_ == ScanMode::kCommentPrefix) mode_ = ScanMode::kInField;
      return false;
    }
    ++state_->prefix_bytes;
    mode_ = state_->prefix_bytes == prefix.size() ? ScanMode::kComment : ScanMode::kCommentPrefix;
    return true;
  }

  void TakeEscape(size_t at) {
    state_->any_escape = true;
    state_->after_escape = true;
    if (mode_ != ScanMode::kQuoted) TakeText(at);
  }

  void TakeQuote() {
    state_->any_quote = true;
    if (at_field_start() || mode_ == ScanMode::kQuoteEnd) {
      mode_ = ScanMode::kQuoted;
    } else if (mode_ == ScanMode::kQuoted) {
      mode_ = ScanMode::kQuoteEnd;
    }
  }

  void TakeOther(uint8_t byte, size_t at, bool line_end) {
    if (line_end) {
      EndRecord(at);
    } else if (byte == dialect_.delimiter) {
      *out_++ = static_cast<uint32_t>(at);
      mode_ = ScanMode::kFieldStart;
    } else if (byte == ' ' && dialect_.skip_initial_space && at_field_start()) {
      mode_ = ScanMode::kFieldStart;
    } else {
      TakeText(at);
    }
  }

  void TakeText(size_t at) {
    if (mode_ == ScanMode::kQuoteEnd && state_->bad_byte == kNowhere) {
      state_->bad_byte = static_cast<int64_t>(at);
    }
    mode_ = ScanMode::kInField;
  }

  void EndRecord(size_t at) {
    *out_++ = static_cast<uint32_t>(at);
    ++state_->records;
    mode_ = ScanMode::kRecordStart;
  }

  const Dialect& dialect_;
  ScanState* const state_;
  ScanMode mode_;
  uint32_t* out_;
};

}  // namespace

uint32_t* ScanScalar(const Dialect& dialect, const uint8_t* text, size_t begin, size_t end,
                     ScanState* state, uint32_t* out) {
  return ScalarScan(dialect, state, out).Run(text, begin, end);
}

}  // namespace hayate::csv
