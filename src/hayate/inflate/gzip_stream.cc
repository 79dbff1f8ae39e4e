#include "hayate/inflate/gzip_stream.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace hayate::inflate {
namespace {

constexpr uint8_t kMagicFirst = 0x1f;
// avail_out is 32 bits wide; stay far from its end, as for the input.
constexpr size_t kMaxOutputBytes = size_t{1} << 30;
constexpr size_t kGuardedOutputBytes = 256 * 1024;

// What may stand at the present byte of the compressed stream.
enum class Expect { kHeader, kBody, kMemberOrPadding, kPadding };

std::string_view MessageOf(int code) {
  switch (code) {
    case ISAL_INVALID_BLOCK:
      return "an invalid deflate block";
    case ISAL_INVALID_SYMBOL:
      return "an invalid deflate symbol";
    case ISAL_INVALID_LOOKBACK:
      return "a reference to before the start of the text";
    case ISAL_INVALID_WRAPPER:
      return "an invalid member header";
    case ISAL_UNSUPPORTED_METHOD:
      return "an unknown compression method";
    case ISAL_INCORRECT_CHECKSUM:
      return "a checksum or length that does not match";
    default:
      return "invalid data";
  }
}

class GzipStream : public ByteStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> input, std::unique_ptr<InputWindow> window,
             GuardedBuffer output)
      : input_(std::move(input)),
        window_(std::move(window)),
        output_(std::move(output)),
        state_(new inflate_state) {
    BeginMember();
    TakeInput(window_->data());
  }

  Result<int64_t> Read(std::span<uint8_t> out) override {
    if (out.empty()) return Fail(Fault::kInternal, "a read of no bytes", {.object = name()});
    while (true) {
      switch (expect_) {
        case Expect::kHeader:
          ARROW_RETURN_NOT_OK(ReadHeader());
          break;
        case Expect::kBody: {
          ARROW_ASSIGN_OR_RAISE(const int64_t produced, Inflate(out));
          if (produced > 0) return produced;
          break;
        }
        case Expect::kMemberOrPadding:
        case Expect::kPadding: {
          ARROW_ASSIGN_OR_RAISE(const bool more, BetweenMembers());
          if (!more) return 0;
          break;
        }
      }
    }
  }

  const std::string& name() const override { return input_->name(); }

 private:
  // Offset of the first compressed byte that ISA-L has not taken.
  int64_t offset() const { return read_bytes_ - state_->avail_in; }

  void BeginMember() {
    isal_inflate_init(state_.get());
    isal_gzip_header_init(&header_);
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;
    expect_ = Expect::kHeader;
  }

  void TakeInput(std::span<uint8_t> data) {
    read_bytes_ += static_cast<int64_t>(data.size());
    state_->next_in = data.data();
    state_->avail_in = static_cast<uint32_t>(data.size());
  }

  // The next window; avail_in stays 0 at the end of the input.
  Status Refill() {
    ARROW_ASSIGN_OR_RAISE(const auto data, window_->Fill(input_.get()));
    TakeInput(data);
    return Status::OK();
  }

  Status Truncated() const {
    return Fail(Fault::kInput, "the gzip data ends in the middle of a member",
                {.object = name(), .byte = read_bytes_},
                "The file was cut off (an unfinished copy or export): fetch or make it again.");
  }

  Status Corrupt(std::string_view what) const {
    return Fail(Fault::kInput, "the gzip data is damaged: " + std::string(what),
                {.object = name(), .byte = offset()}, "Fetch or make the file again.");
  }

  Status ReadHeader() {
    if (state_->avail_in == 0) {
      ARROW_RETURN_NOT_OK(Refill());
      if (state_->avail_in == 0) return Truncated();
    }
    // The header's own state lives in header_, so it may come in any number of pieces.
    const int code = isal_read_gzip_header(state_.get(), &header_);
    if (code < 0) return Corrupt(MessageOf(code));
    if (code == ISAL_DECOMP_OK) expect_ = Expect::kBody;
    return Status::OK();
  }

  Result<int64_t> Inflate(std::span<uint8_t> out) {
    if (state_->avail_in == 0 && !at_end_) {
      ARROW_RETURN_NOT_OK(Refill());
      at_end_ = state_->avail_in == 0;
    }
    std::span<uint8_t> room = out.first(std::min(out.size(), kMaxOutputBytes));
    if (kGuardsBuffers) {
      room = output_.bytes().last(std::min(room.size(), output_.bytes().size()));
    }
    state_->next_out = room.data();
    state_->avail_out = static_cast<uint32_t>(room.size());
    const int code = isal_inflate(state_.get());
    if (code != ISAL_DECOMP_OK) return Corrupt(MessageOf(code));
    const auto produced = static_cast<int64_t>(room.size()) - state_->avail_out;
    if (kGuardsBuffers) std::memcpy(out.data(), room.data(), static_cast<size_t>(produced));
    if (state_->block_state == ISAL_BLOCK_FINISH) {
      expect_ = Expect::kMemberOrPadding;
      at_end_ = false;
    } else if (at_end_ && produced == 0) {
      return Truncated();
    }
    return produced;
  }

  // Skips padding or begins the next member. False at the end of the input.
  Result<bool> BetweenMembers() {
    if (state_->avail_in == 0) {
      ARROW_RETURN_NOT_OK(Refill());
      if (state_->avail_in == 0) return false;
    }
    const uint8_t next = *state_->next_in;
    if (next == 0) {
      expect_ = Expect::kPadding;
      ++state_->next_in;
      --state_->avail_in;
      return true;
    }
    if (next != kMagicFirst || expect_ == Expect::kPadding) {
      return Corrupt("bytes after the last member that are neither a member nor zeros");
    }
    uint8_t* const next_in = state_->next_in;
    const uint32_t avail_in = state_->avail_in;
    BeginMember();
    state_->next_in = next_in;
    state_->avail_in = avail_in;
    return true;
  }

  std::unique_ptr<ByteStream> input_;
  std::unique_ptr<InputWindow> window_;
  GuardedBuffer output_;  // what ISA-L writes to instead of the caller's memory; else empty
  std::unique_ptr<inflate_state> state_;
  isal_gzip_header header_{};
  Expect expect_ = Expect::kHeader;
  int64_t read_bytes_ = 0;
  bool at_end_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> MakeGzipStream(std::unique_ptr<ByteStream> input,
                                                   std::unique_ptr<InputWindow> window) {
  GuardedBuffer output;
  if (kGuardsBuffers) {
    ARROW_ASSIGN_OR_RAISE(output, GuardedBuffer::Make(kGuardedOutputBytes));
  }
  return std::make_unique<GzipStream>(std::move(input), std::move(window), std::move(output));
}

}  // namespace hayate::inflate
